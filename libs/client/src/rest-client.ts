/** An error answer of the API (RFC 9457). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** The whole problem document. */
    readonly problem: Readonly<Record<string, unknown>>,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface TokenPair {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** The members of an environment that the terminal needs; the API gives more. */
export interface EnvironmentView {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly phase: string | null;
  readonly progress: number | null;
  readonly status_reason: string | null;
  readonly status_message: string | null;
}

export interface RestClientOptions {
  /** Where the server is, e.g. `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly tokens?: TokenPair;
  /** Called with each new pair, so that it can be kept. */
  readonly fetch?: typeof fetch;
  readonly onTokens?: (tokens: TokenPair) => void;
}

/** Calls the API; refreshes the access token before it expires, once for all calls that wait for it. */
export class RestClient {
  private tokens: TokenPair | null;
  private expiresAt = 0;
  private refreshing: Promise<void> | null = null;

  constructor(private readonly options: RestClientOptions) {
    this.tokens = options.tokens ?? null;
  }

  get url(): string {
    return this.options.url.replace(/\/+$/, '');
  }

  async register(account: { username: string; email: string; password: string }): Promise<void> {
    await this.send('POST', '/auth/register', account, null);
  }

  async login(usernameOrEmail: string, password: string): Promise<void> {
    this.keep(parseTokens(await this.send('POST', '/auth/login', { username_or_email: usernameOrEmail, password }, null)));
  }

  /** An access token that is good for at least 30 s more. */
  async accessToken(): Promise<string> {
    if (!this.tokens) throw new ApiError(401, 'token_missing', 'Not signed in', {});
    if (Date.now() > this.expiresAt - 30_000) {
      this.refreshing ??= this.refresh(this.tokens.refresh_token).finally(() => (this.refreshing = null));
      await this.refreshing;
    }
    return this.tokens.access_token;
  }

  /** @param path below `/api/v1` @returns the parsed JSON body, or null for an empty one. @throws ApiError */
  async request(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<unknown> {
    return this.send(method, path, body, await this.accessToken(), headers);
  }

  async environments(): Promise<readonly EnvironmentView[]> {
    const list = await this.request('GET', '/environments?limit=100');
    return Array.isArray(list) ? list.map(parseEnvironment) : [];
  }

  async environment(id: string): Promise<EnvironmentView> {
    return parseEnvironment(await this.request('GET', `/environments/${id}`));
  }

  private async refresh(token: string): Promise<void> {
    this.keep(parseTokens(await this.send('POST', '/auth/refresh', { refresh_token: token }, null)));
  }

  private keep(tokens: TokenPair): void {
    this.tokens = tokens;
    this.expiresAt = Date.now() + tokens.expires_in * 1000;
    this.options.onTokens?.(tokens);
  }

  private async send(
    method: string,
    path: string,
    body: unknown,
    token: string | null,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<unknown> {
    const response = await (this.options.fetch ?? fetch)(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer: unknown = text === '' ? null : parseJson(text);
    if (response.ok) return answer;
    const problem = isRecord(answer) ? answer : {};
    throw new ApiError(
      response.status,
      textOf(problem.code) ?? 'unknown',
      textOf(problem.detail) ?? `HTTP ${response.status}`,
      problem,
    );
  }
}

export function parseEnvironment(value: unknown): EnvironmentView {
  if (!isRecord(value) || typeof value.id !== 'string' || typeof value.name !== 'string' || typeof value.status !== 'string') {
    throw new ApiError(502, 'unexpected_answer', 'The answer is not an environment', {});
  }
  const { id, name, status, progress } = value;
  return {
    id,
    name,
    status,
    phase: textOf(value.phase),
    progress: typeof progress === 'number' ? progress : null,
    status_reason: textOf(value.status_reason),
    status_message: textOf(value.status_message),
  };
}

function parseTokens(value: unknown): TokenPair {
  if (
    isRecord(value) &&
    typeof value.access_token === 'string' &&
    typeof value.refresh_token === 'string' &&
    typeof value.expires_in === 'number'
  ) {
    return { access_token: value.access_token, refresh_token: value.refresh_token, expires_in: value.expires_in };
  }
  throw new ApiError(502, 'unexpected_answer', 'The answer is not a token', {});
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
