import { EnvironmentEvents, EnvironmentsService } from '@devpocket/environments';
import { CLOSE, CLOSE_CODE, closeWithError, type EdgeSocket, toDomainError } from '@devpocket/http';
import { DomainError } from '@devpocket/kernel';
import { type LogEvent, type LogQuery, RuntimeError, RuntimeRegistry } from '@devpocket/runtime';
import { type OnGatewayConnection, WebSocketGateway } from '@nestjs/websockets';
import { type RawData, type WebSocket } from 'ws';
import { SocketRegistry } from './socket-registry';

/** Bytes that a socket may hold before the log is read no further. */
const SOCKET_WINDOW_BYTES = 262_144;
const CURSOR = /^[\x21-\x7e]{1,128}$/;

/** Sockets on logs. */
@WebSocketGateway({ path: '/api/v1/ws/logs/:id' })
export class LogsGateway implements OnGatewayConnection<EdgeSocket> {
  constructor(
    private readonly environments: EnvironmentsService,
    private readonly runtimes: RuntimeRegistry,
    private readonly events: EnvironmentEvents,
    private readonly registry: SocketRegistry,
  ) {}

  handleConnection(edge: EdgeSocket): void {
    this.stream(edge).catch((thrown: unknown) => {
      const error = fromRuntime(thrown) ?? toDomainError(thrown, false);
      closeWithError(edge.socket, CLOSE_CODE[error.kind], error.code, error.message, error.extra);
    });
  }

  private async stream(edge: EdgeSocket): Promise<void> {
    const { socket, principal, environmentId } = edge;
    const query = readQuery(edge.query);
    const environment = await this.environments.locate(principal, environmentId);
    const entry = this.registry.add(edge, false);
    if (!entry) return;
    const ended = new AbortController();
    const stop = this.events.subscribe((event) => {
      if (event.environmentId !== environmentId) return;
      const over = event.type === 'environment.deleted' || (event.type === 'environment.status' && event.desired === 'deleted');
      if (over) closeWithError(socket, CLOSE.gone, 'gone', 'The environment was deleted');
    });
    socket.on('close', () => {
      stop();
      ended.abort();
    });
    socket.on('message', (data: RawData) => answer(socket, data, (token) => this.registry.renew(entry, token)));
    const driver = this.runtimes.get(environment.runtimeKind);
    for await (const event of driver.logs(environment.place, query, ended.signal)) {
      if (ended.signal.aborted) return;
      await send(socket, toMessage(event));
    }
    if (ended.signal.aborted) return;
    if (!query.follow) await send(socket, { type: 'caught_up' });
    socket.close(CLOSE.done, 'Log stream complete');
  }
}

/** @throws DomainError 422 */
function readQuery(query: URLSearchParams): LogQuery {
  const refuse = (field: string, code: string, message: string): never => {
    throw DomainError.invalid({ field, code, message });
  };
  const lines = query.get('lines') ?? '100';
  if (!/^\d{1,4}$/.test(lines) || Number(lines) < 1 || Number(lines) > 1000)
    refuse('lines', 'invalid_lines', 'must be a whole number from 1 to 1000');
  const since = query.get('since');
  if (since !== null && Number.isNaN(Date.parse(since))) refuse('since', 'invalid_time', 'must be an ISO 8601 time');
  const after = query.get('after');
  if (after !== null && !CURSOR.test(after)) refuse('after', 'invalid_cursor', 'must be the cursor of a line');
  return { lines: Number(lines), since: since === null ? null : new Date(since), after, follow: query.get('follow') !== 'false' };
}

function toMessage(event: LogEvent): Readonly<Record<string, unknown>> {
  if (event.type !== 'log') return { type: event.type };
  const { timestamp, level, message, source, cursor, truncated } = event;
  return { type: 'log', timestamp: timestamp.toISOString(), level, message, source, cursor, ...(truncated ? { truncated } : {}) };
}

/** Resolves at once while the socket keeps up, else when it took the message. */
function send(socket: WebSocket, message: Readonly<Record<string, unknown>>): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) {
      resolve();
      return;
    }
    const slow = socket.bufferedAmount > SOCKET_WINDOW_BYTES;
    socket.send(JSON.stringify(message), () => resolve());
    if (!slow) resolve();
  });
}

function answer(socket: WebSocket, data: RawData, renew: (token: string) => Promise<boolean>): void {
  const text = Buffer.isBuffer(data) ? data.toString('utf8') : '';
  const tell = (message: Readonly<Record<string, unknown>>): void => socket.send(JSON.stringify(message));
  const message = parse(text);
  if (typeof message?.type !== 'string')
    tell({ type: 'error', code: 'bad_message', message: 'A message is a JSON object with a type' });
  else if (message.type === 'ping') tell({ type: 'pong', ...(message.id === undefined ? {} : { id: message.id }) });
  else if (message.type === 'auth' && typeof message.token === 'string') {
    renew(message.token).then(
      (own) => (own ? undefined : tell({ type: 'error', code: 'token_invalid', message: 'The token is another user’s' })),
      () => tell({ type: 'error', code: 'token_invalid', message: 'The token is not valid' }),
    );
  } else tell({ type: 'error', code: 'unknown_type', message: 'This type of message is not known' });
}

function parse(text: string): { readonly type?: unknown; readonly id?: unknown; readonly token?: unknown } | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

function fromRuntime(error: unknown): DomainError | null {
  if (!(error instanceof RuntimeError)) return null;
  if (error.kind === 'invalid')
    return DomainError.invalid({ field: 'after', code: 'invalid_cursor', message: 'is not a cursor of these logs' });
  if (error.kind === 'gone') return DomainError.notFound('Log');
  return new DomainError('unavailable', 'unavailable', 'The runtime does not answer; try again', { cause: error });
}
