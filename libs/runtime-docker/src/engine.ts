import { type IncomingMessage } from 'node:http';
import { type Socket } from 'node:net';
import { wordsOf } from './connection-words';
import { addressOf, certificatesIn, type EngineAddress, type EngineSettings } from './engine-address';
import { EngineError, isAbsent } from './engine-error';

/** What an answer to a short call may take; a busy engine makes a container in a second or two. */
const CALL_MS = 30_000;
/** What a stream may take to begin. */
const BEGIN_MS = 30_000;
const DONE = { 101: true, 200: true, 201: true, 204: true, 304: true } as const;

export type Query = Readonly<Record<string, string | number | boolean | Readonly<Record<string, readonly string[]>>>>;

export interface EngineCall {
  readonly query?: Query;
  readonly body?: object;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What docker-modem takes: as far as it is used here. */
interface Dial {
  readonly method: string;
  readonly path: string;
  readonly options: { readonly _query: object; readonly _body: object };
  readonly statusCodes: Readonly<Record<number, true>>;
  readonly abortSignal: AbortSignal;
  readonly isStream?: boolean;
  readonly hijack?: boolean;
  readonly openStdin?: boolean;
  readonly file?: Buffer;
  readonly headers?: Record<string, string>;
}
interface Modem {
  dial(call: Dial, done: (error: ModemError | null, answer: unknown) => void): void;
}
interface ModemError extends Error {
  readonly code?: unknown;
  readonly statusCode?: number;
  readonly json?: unknown;
}

/** Calls of the Docker Engine API (v1.41; podman speaks v1.41 too), each with a bound in time. */
export class Engine {
  private constructor(
    private readonly modem: Modem,
    private readonly address: EngineAddress,
  ) {}

  /** The client is loaded with the first engine: servers without one do not need it. @throws Error for certificates that cannot be read */
  static async open(settings: EngineSettings): Promise<Engine> {
    const { default: Docker } = await import('dockerode');
    const address = addressOf(settings);
    const certificates =
      address.kind === 'tcp' && address.tls && settings.certPath !== null ? certificatesIn(settings.certPath) : undefined;
    // All is said, so that the client's own reading of the process's variables counts for nothing.
    const docker = new Docker({
      timeout: 0,
      ca: undefined,
      cert: undefined,
      key: undefined,
      ...(address.kind === 'unix'
        ? { socketPath: address.path, host: undefined, port: undefined, protocol: 'http' as const }
        : {
            host: address.host,
            port: address.port,
            protocol: address.tls ? ('https' as const) : ('http' as const),
            pathPrefix: '/',
          }),
      ...certificates,
    });
    return new Engine(docker.modem, address);
  }

  /** @throws EngineError */
  get<T>(path: string, call: EngineCall = {}): Promise<T> {
    return this.call<T>('GET', path, call);
  }

  /** @throws EngineError */
  post<T>(path: string, call: EngineCall = {}): Promise<T> {
    return this.call<T>('POST', path, call);
  }

  /** What is not there counts as removed. @throws EngineError */
  async delete(path: string, call: EngineCall = {}): Promise<void> {
    await this.call('DELETE', path, call).catch((error: unknown) => {
      if (!(error instanceof EngineError) || error.status !== 404) throw error;
    });
  }

  /** Removes a container, running or not; where somebody does so already, waits until it has gone. @throws EngineError */
  async remove(container: string, call: Pick<EngineCall, 'signal'> = {}): Promise<void> {
    try {
      await this.delete(`/containers/${container}`, { ...call, query: { force: true } });
    } catch (error) {
      if (!(error instanceof EngineError) || error.status !== 409 || !/already in progress/i.test(error.message)) throw error;
      const gone = this.post(`/containers/${container}/wait`, { ...call, query: { condition: 'removed' } });
      await gone.catch((missed: unknown) => {
        if (!isAbsent(missed)) throw missed;
      });
    }
  }

  /** Unpacks a tar archive into a container, running or not. @throws EngineError */
  async unpack(container: string, path: string, archive: Buffer): Promise<void> {
    await this.call('PUT', `/containers/${container}/archive`, { query: { path } }, { file: archive });
  }

  /** @throws EngineError */
  async stream(method: 'GET' | 'POST', path: string, call: EngineCall = {}): Promise<IncomingMessage> {
    const begun = new AbortController();
    const timer = setTimeout(() => begun.abort(new Error('The engine does not answer')), call.timeoutMs ?? BEGIN_MS);
    const signal = call.signal ? AbortSignal.any([call.signal, begun.signal]) : begun.signal;
    try {
      const answer = (await this.dial(method, path, { ...call, signal }, { isStream: true })) as IncomingMessage;
      // Who reads it is told by the end of the iteration; without a listener a broken connection would end the process.
      answer.on('error', () => undefined);
      const end = (): void => void answer.destroy(new Error('aborted'));
      if (call.signal?.aborted) end();
      call.signal?.addEventListener('abort', end, { once: true });
      answer.once('close', () => call.signal?.removeEventListener('abort', end));
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Takes the connection over for both directions. @throws EngineError */
  async hijack(path: string, body: object): Promise<Socket> {
    const signal = AbortSignal.timeout(BEGIN_MS);
    return (await this.dial('POST', path, { body, signal }, { isStream: true, hijack: true, openStdin: true })) as Socket;
  }

  private async call<T>(method: string, path: string, call: EngineCall, more: Partial<Dial> = {}): Promise<T> {
    const timeout = AbortSignal.timeout(call.timeoutMs ?? CALL_MS);
    const signal = call.signal ? AbortSignal.any([call.signal, timeout]) : timeout;
    return (await this.dial(method, path, { ...call, signal }, more)) as T;
  }

  private dial(
    method: string,
    path: string,
    { query = {}, body = {}, signal, headers }: EngineCall & { readonly signal: AbortSignal },
    more: Partial<Dial>,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.modem.dial(
        {
          method,
          path: `${path}?`,
          options: { _query: query, _body: body },
          statusCodes: DONE,
          abortSignal: signal,
          ...(headers ? { headers: { ...headers } } : {}),
          ...more,
        },
        (error, answer) => {
          if (error) reject(errorOf(error, signal, this.address));
          else resolve(answer);
        },
      );
    });
  }
}

function errorOf(error: ModemError, signal: AbortSignal, address: EngineAddress): EngineError {
  if (signal.aborted) return new EngineError(0, 'The engine did not answer in time');
  if (error.statusCode === undefined) return new EngineError(0, wordsOf(error, address));
  const told = error.json !== null && typeof error.json === 'object' && 'message' in error.json ? error.json.message : null;
  const words = typeof told === 'string' ? told : error.message.replace(/^\(HTTP code \d+\) .*? - /, '');
  // Podman says 500 of what went away while it was asked.
  const status =
    error.statusCode === 500 && /no such (container|volume|network|image)$/i.test(words.trim()) ? 404 : error.statusCode;
  return new EngineError(status, words.trim());
}
