import createClient, { type Client } from 'openapi-fetch';
import { type components, type paths } from './api';

/** The API's objects by their names in its document, e.g. `Schemas['Environment']`. */
export type Schemas = components['schemas'];
export type EnvironmentView = Schemas['Environment'];
export type TokenPair = Pick<Schemas['Token'], 'access_token' | 'refresh_token' | 'expires_in'>;

/** An error answer of the API (RFC 9457). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** Stable, for programs; which there are, the types of each operation tell. */
    readonly code: string,
    message: string,
    /** The whole problem document. */
    readonly problem: Readonly<Record<string, unknown>>,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface RestClientOptions {
  /** Where the server is, e.g. `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly tokens?: TokenPair;
  /** Called with each new pair, so that it can be kept. */
  readonly onTokens?: (tokens: TokenPair) => void;
  /** In place of a session. */
  readonly apiKey?: string;
  readonly fetch?: typeof fetch;
}

/** Needs no credential: a refresh would otherwise wait for itself. */
const OPEN = new Set(['/api/v1/auth/register', '/api/v1/auth/login', '/api/v1/auth/refresh']);
/** A token that lives no longer than this is renewed first. */
const MARGIN_MS = 30_000;

/** Calls the API; refreshes the access token before it expires, once for all calls that wait for it. */
export class RestClient {
  /**
   * Every operation of the API, typed by its document:
   * `answered(client.api.GET('/api/v1/environments/{id}', { params: { path: { id } } }))`.
   */
  readonly api: Client<paths>;
  private tokens: TokenPair | null;
  private expiresAt = 0;
  private refreshing: Promise<void> | null = null;

  constructor(private readonly options: RestClientOptions) {
    this.tokens = options.tokens ?? null;
    this.api = createClient<paths>({ baseUrl: this.url, fetch: (request) => this.fetch(request) });
    this.api.use({
      onRequest: async ({ request, schemaPath }) => {
        if (!OPEN.has(schemaPath)) request.headers.set('authorization', `Bearer ${await this.accessToken()}`);
        return request;
      },
    });
  }

  get url(): string {
    return this.options.url.replace(/\/+$/, '');
  }

  async register(account: Schemas['Register']): Promise<Schemas['User']> {
    return answered(this.api.POST('/api/v1/auth/register', { body: account }));
  }

  async login(usernameOrEmail: string, password: string): Promise<void> {
    const body = { username_or_email: usernameOrEmail, password };
    this.keep(await answered(this.api.POST('/api/v1/auth/login', { body })));
  }

  /** The API key, or an access token that is good for at least 30 s more. @throws ApiError 401 `token_missing` before a login */
  async accessToken(): Promise<string> {
    if (this.options.apiKey !== undefined) return this.options.apiKey;
    if (!this.tokens) throw new ApiError(401, 'token_missing', 'Not signed in', {});
    if (Date.now() > this.expiresAt - MARGIN_MS) {
      this.refreshing ??= this.refresh(this.tokens.refresh_token).finally(() => (this.refreshing = null));
      await this.refreshing;
    }
    return this.tokens.access_token;
  }

  /** The caller's, newest first; at most 100. */
  async environments(): Promise<readonly EnvironmentView[]> {
    return answered(this.api.GET('/api/v1/environments', { params: { query: { limit: 100 } } }));
  }

  async environment(id: string): Promise<EnvironmentView> {
    return answered(this.api.GET('/api/v1/environments/{id}', { params: { path: { id } } }));
  }

  /**
   * A call that is not known before it is made; `api` knows the others.
   * @param path below `/api/v1` @returns the parsed JSON body, or null for an empty one. @throws ApiError
   */
  async request(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<unknown> {
    const response = await this.fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await this.accessToken()}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer: unknown = text === '' ? null : parseJson(text);
    if (response.ok) return answer;
    throw errorOf(response.status, answer);
  }

  private get fetch(): typeof fetch {
    return this.options.fetch ?? fetch;
  }

  /** An answer that is lost is no harm: for a while the same refresh token gives the same successor. */
  private async refresh(token: string): Promise<void> {
    this.keep(await answered(this.api.POST('/api/v1/auth/refresh', { body: { refresh_token: token } })));
  }

  private keep(tokens: TokenPair): void {
    this.tokens = tokens;
    this.expiresAt = Date.now() + tokens.expires_in * 1000;
    this.options.onTokens?.(tokens);
  }
}

/** The body of a good answer. @throws ApiError for any other */
export async function answered<T>(
  call: Promise<{
    readonly data?: T;
    readonly error?: unknown;
    readonly response: { readonly ok: boolean; readonly status: number };
  }>,
): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  throw errorOf(response.status, typeof error === 'string' ? parseJson(error) : error);
}

function errorOf(status: number, answer: unknown): ApiError {
  const problem = isRecord(answer) ? answer : {};
  return new ApiError(status, textOf(problem.code) ?? 'unknown', textOf(problem.detail) ?? `HTTP ${status}`, problem);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
