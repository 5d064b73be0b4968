import { isObject } from '../../apps/api/src/documents/json-schema';
import { CALLERS, type CallerName } from './requests';
import { PASSWORD } from './values';

/** Which keys there are, and whose. */
const KEYS: Partial<Record<CallerName, { readonly of: 'user' | 'admin'; readonly scopes: readonly string[] }>> = {
  reader: { of: 'user', scopes: ['env:read'] },
  writer: { of: 'user', scopes: ['env:read', 'env:write'] },
  terminal: { of: 'user', scopes: ['terminal'] },
  adminKey: { of: 'admin', scopes: ['admin', 'env:read'] },
};

/**
 * The accounts and keys that calls are made with. Calls end them, by a logout, a change of password or a deletion; then others
 * take their place, which `root` makes administrators where they have to be. Nobody acts as `root` but to that end.
 */
export class Callers {
  readonly rootId: Promise<string>;
  private readonly tokens = new Map<CallerName, string>([['garbage', 'dp_garbage0_x']]);
  private made = 0;
  private root = '';
  private turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly url: string,
    private readonly rootPassword: string,
  ) {
    this.rootId = this.signInRoot().then(async () => String((await this.ask('GET', '/auth/me', this.root)).id));
  }

  /** Null: without a credential. */
  async tokenOf(name: CallerName): Promise<string | null> {
    if (name === 'nobody') return null;
    // One after the other: a user's keys need the user.
    const turn = this.turn.then(() => this.make(name));
    this.turn = turn.catch(() => undefined);
    await turn;
    return this.tokens.get(name) ?? null;
  }

  /** It was told that its credential has ended. */
  ended(name: CallerName, token: string): void {
    if (this.tokens.get(name) === token && name !== 'garbage') this.tokens.delete(name);
  }

  private async make(name: CallerName): Promise<void> {
    if (this.tokens.has(name)) return;
    const key = KEYS[name];
    if (!key) {
      this.tokens.set(name, await this.account(name === 'admin'));
      for (const other of CALLERS) if (KEYS[other]?.of === name) this.tokens.delete(other);
      return;
    }
    for (let tries = 0; ; tries += 1) {
      await this.make(key.of);
      try {
        const made = await this.ask('POST', '/auth/api-keys', this.tokens.get(key.of), { name, scopes: key.scopes });
        this.tokens.set(name, String(made.key));
        return;
      } catch (error) {
        if (tries === 3) throw error;
        this.tokens.delete(key.of); // it has ended meanwhile, or has as many keys as it may have
      }
    }
  }

  private async account(isAdmin: boolean): Promise<string> {
    this.made += 1;
    const username = `fuzz-${this.made}`;
    const { id } = await this.ask('POST', '/auth/register', '', {
      username,
      email: `${username}@example.com`,
      password: PASSWORD,
    });
    if (isAdmin) {
      const body = { subscription_plan: 'admin' };
      await this.ask('PATCH', `/users/${String(id)}`, this.root, body).catch(async () => {
        await this.signInRoot();
        return this.ask('PATCH', `/users/${String(id)}`, this.root, body);
      });
    }
    return String((await this.ask('POST', '/auth/login', '', { username_or_email: username, password: PASSWORD })).access_token);
  }

  private async signInRoot(): Promise<void> {
    const body = { username_or_email: 'root', password: this.rootPassword };
    this.root = String((await this.ask('POST', '/auth/login', '', body)).access_token);
  }

  private async ask(method: string, path: string, token = '', body?: unknown): Promise<Readonly<Record<string, unknown>>> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...(token === '' ? {} : { authorization: `Bearer ${token}` }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok || !isObject(answer)) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }
}
