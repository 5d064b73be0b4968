import { type Principal } from '@devpocket/access';
import { EnvironmentEvents, EnvironmentsService } from '@devpocket/environments';
import { type EdgeSocket, toDomainError } from '@devpocket/http';
import { Clock, DomainError, parseTime } from '@devpocket/kernel';
import { type LogEvent, type LogQuery, RuntimeError, RuntimeRegistry } from '@devpocket/runtime';
import { FrameIntake } from '@devpocket/terminal-session';
import { CLOSE, closeWithError } from '@devpocket/websocket';
import { type OnGatewayConnection, WebSocketGateway } from '@nestjs/websockets';
import { type WebSocket } from 'ws';
import { SocketRegistry } from './socket-registry';
import { answer, closeWith, send } from './stream-socket';

const CURSOR = /^[\x21-\x7e]{1,128}$/;

/** Sockets on logs. */
@WebSocketGateway({ path: '/api/v1/ws/logs/:id' })
export class LogsGateway implements OnGatewayConnection<EdgeSocket> {
  constructor(
    private readonly environments: EnvironmentsService,
    private readonly runtimes: RuntimeRegistry,
    private readonly events: EnvironmentEvents,
    private readonly registry: SocketRegistry,
    private readonly clock: Clock,
  ) {}

  handleConnection(edge: EdgeSocket): void {
    edge.socket.pause();
    this.stream(edge, this.registry.add(edge)).catch((thrown: unknown) => refuse(edge.socket, thrown));
  }

  private async stream(edge: EdgeSocket, entry: ReturnType<SocketRegistry['add']>): Promise<void> {
    const { socket, principal, environmentId } = edge;
    const query = readQuery(edge.query);
    const environment = await this.environments.locate(principal, environmentId);
    if (!(await this.registry.admit(entry, false))) return;
    const ended = new AbortController();
    const stop = this.events.subscribe((event) => {
      if (event.environmentId !== environmentId) return;
      const over = event.type === 'environment.deleted' || (event.type === 'environment.status' && event.desired === 'deleted');
      if (over) closeGone(socket);
    });
    socket.on('close', () => {
      stop();
      ended.abort();
    });
    const intake = new FrameIntake(socket, this.clock);
    const renew = (token: string): Promise<boolean> => this.registry.renew(entry, token);
    intake.begin(
      (data, isBinary) => intake.during('all', answer(socket, data, isBinary, renew)),
      (error) => refuse(socket, error),
    );
    const driver = this.runtimes.get(environment.runtimeKind);
    for await (const event of driver.logs(environment.place, query, ended.signal)) {
      if (ended.signal.aborted) return;
      await send(socket, toMessage(event));
    }
    if (ended.signal.aborted) return;
    // What another replica has deleted may end here before its word of that comes.
    if (query.follow && (await this.isGone(principal, environmentId))) return closeGone(socket);
    if (!query.follow) await send(socket, { type: 'caught_up' });
    socket.close(CLOSE.done, 'Log stream complete');
  }

  private async isGone(principal: Principal, environmentId: string): Promise<boolean> {
    try {
      await this.environments.get(principal, environmentId);
      return false;
    } catch (error) {
      if (error instanceof DomainError && error.kind === 'not_found') return true;
      throw error;
    }
  }
}

function closeGone(socket: WebSocket): void {
  closeWithError(socket, CLOSE.gone, 'gone', 'The environment was deleted');
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
  const from = since === null ? null : parseTime(since);
  if (since !== null && !from) refuse('since', 'invalid_time', 'must be a time such as 2026-01-31T12:00:00Z');
  const after = query.get('after');
  if (after !== null && !CURSOR.test(after)) refuse('after', 'invalid_cursor', 'must be the cursor of a line');
  const follow = query.get('follow') ?? 'true';
  if (follow !== 'true' && follow !== 'false') refuse('follow', 'invalid_follow', 'must be true or false');
  return { lines: Number(lines), since: from, after, follow: follow === 'true' };
}

function toMessage(event: LogEvent): Readonly<Record<string, unknown>> {
  if (event.type !== 'log') return { type: event.type };
  const { timestamp, level, message, source, cursor, truncated } = event;
  return { type: 'log', timestamp: timestamp.toISOString(), level, message, source, cursor, ...(truncated ? { truncated } : {}) };
}

function refuse(socket: WebSocket, thrown: unknown): void {
  closeWith(socket, fromRuntime(thrown) ?? toDomainError(thrown, false));
}

function fromRuntime(error: unknown): DomainError | null {
  if (!(error instanceof RuntimeError)) return null;
  if (error.kind === 'invalid')
    return DomainError.invalid({ field: 'after', code: 'invalid_cursor', message: 'is not a cursor of these logs' });
  if (error.kind === 'gone') return DomainError.notFound('Log');
  return new DomainError('unavailable', 'unavailable', 'The runtime does not answer; try again', { cause: error });
}
