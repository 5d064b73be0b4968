import { GoogleSettings } from '@devpocket/config';
import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { createPublicKey } from 'node:crypto';
import { z } from 'zod';
import { googleTokenInvalid, googleUnavailable } from './google.errors';

const ANSWER_MS = 5_000;
const DISCOVERY_MS = 24 * 3_600_000;
const KEYS_MS = 3_600_000;
/** A token names its key before its signature can be checked: anybody can name one that we do not know. */
const LOOK_AGAIN_MS = 30_000;

/** OpenID Connect Discovery 1.0 §3, as far as it is used. */
const DISCOVERY = z.object({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  userinfo_endpoint: z.url(),
  jwks_uri: z.url(),
});
export type GoogleEndpoints = Readonly<z.output<typeof DISCOVERY>>;

/** RFC 7517; a key of a kind that is not used here is passed over. */
const KEYS = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })) });
const RSA_KEY = z.object({
  kty: z.literal('RSA'),
  kid: z.string(),
  alg: z.literal('RS256').optional(),
  use: z.literal('sig').optional(),
  n: z.string(),
  e: z.string(),
});

/** Public keys as PEM by their key id. */
export type GoogleKeys = Readonly<Record<string, string>>;

interface Kept<T> {
  readonly value: T;
  readonly readAt: number;
}

interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly body: unknown;
}

/** The OpenID provider: what its discovery document says, read when it is needed first and kept a while. */
@Injectable()
export class GoogleProvider {
  private discovered: Kept<GoogleEndpoints> | null = null;
  private keys: Kept<GoogleKeys> | null = null;
  private readonly running = new Map<string, Promise<unknown>>();

  constructor(
    private readonly settings: GoogleSettings,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError `unavailable` */
  async endpoints(): Promise<GoogleEndpoints> {
    if (this.discovered && this.age(this.discovered) < DISCOVERY_MS) return this.discovered.value;
    return this.once('endpoints', async () => {
      const { issuer } = this.settings;
      const found = await this.read(`${issuer}/.well-known/openid-configuration`, DISCOVERY);
      // §4.3: another issuer's document is none.
      const isOurs = [issuer, `${issuer}/`].includes(found.issuer);
      const isPlain = Object.values(found).some((address) => address.startsWith('http:'));
      if (!isOurs || (isPlain && !issuer.startsWith('http:'))) throw googleUnavailable(new Error('Not the issuer’s document'));
      this.discovered = { value: found, readAt: this.clock.millis() };
      return found;
    });
  }

  /**
   * The present keys. One that is not known is looked for once, and again only after half a minute.
   * @param kid the key that is wanted @throws DomainError `unavailable`
   */
  async keysWith(kid: string): Promise<GoogleKeys> {
    const { keys } = this;
    if (keys && this.age(keys) < (Object.hasOwn(keys.value, kid) ? KEYS_MS : LOOK_AGAIN_MS)) return keys.value;
    return this.once('keys', async () => {
      const { jwks_uri: address } = await this.endpoints();
      const value = pemsOf((await this.read(address, KEYS)).keys);
      this.keys = { value, readAt: this.clock.millis() };
      return value;
    });
  }

  /** The token endpoint's answer to a code (RFC 6749 §4.1.3). @throws DomainError `google_token_invalid`, `unavailable` */
  async redeem(parameters: Readonly<Record<string, string>>): Promise<unknown> {
    const { token_endpoint: address } = await this.endpoints();
    return this.read(address, z.unknown(), { method: 'POST', body: new URLSearchParams(parameters) });
  }

  /** Claims of the user that the access token is of. @throws DomainError `google_token_invalid`, `unavailable` */
  async userInfo(accessToken: string): Promise<unknown> {
    const { userinfo_endpoint: address } = await this.endpoints();
    return this.read(address, z.unknown(), { headers: { authorization: `Bearer ${accessToken}` } });
  }

  private age({ readAt }: Kept<unknown>): number {
    return this.clock.millis() - readAt;
  }

  /** Of those who want the same at once one asks. */
  private once<T>(what: string, ask: () => Promise<T>): Promise<T> {
    const running = this.running.get(what) as Promise<T> | undefined;
    if (running) return running;
    const asked = ask().finally(() => this.running.delete(what));
    this.running.set(what, asked);
    return asked;
  }

  private async read<T>(address: string, shape: z.ZodType<T>, init: RequestInit = {}): Promise<T> {
    const answer = await this.ask(address, init);
    // What was sent was refused: a code or a token that is none.
    if ((init.method === 'POST' || init.headers) && [400, 401, 403].includes(answer.status)) throw googleTokenInvalid();
    if (!answer.ok) throw googleUnavailable(new Error(`${address} answered ${answer.status}`));
    const read = shape.safeParse(answer.body);
    if (!read.success) throw googleUnavailable(new Error(`${address} answered something else`));
    return read.data;
  }

  /** The whole answer within the time; never sent on to another address, because of what may be in the request. */
  private async ask(address: string, init: RequestInit): Promise<Answer> {
    try {
      const response = await fetch(address, { ...init, signal: AbortSignal.timeout(ANSWER_MS), redirect: 'error' });
      const text = await response.text();
      return { ok: response.ok, status: response.status, body: response.ok ? (JSON.parse(text) as unknown) : null };
    } catch (error) {
      throw googleUnavailable(error);
    }
  }
}

function pemsOf(keys: readonly object[]): GoogleKeys {
  const pems: Record<string, string> = {};
  for (const key of keys) {
    const read = RSA_KEY.safeParse(key);
    if (!read.success) continue;
    const { kid, kty, n, e } = read.data;
    try {
      pems[kid] = createPublicKey({ key: { kty, n, e }, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString();
    } catch {
      // Not a key: nothing is signed with it.
    }
  }
  return pems;
}
