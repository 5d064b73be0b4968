import { EnvironmentsService, type LocatedEnvironment } from '@devpocket/environments';
import { type EdgeSocket, MetricsRegistry, toDomainError } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { attachClient, readQuery, type Resumed, type TerminalQuery, type TerminalSession } from '@devpocket/terminal-session';
import { CLOSE, closeWithError, refuse } from '@devpocket/websocket';
import { Logger } from '@nestjs/common';
import { type OnGatewayConnection, WebSocketGateway } from '@nestjs/websockets';
import { Counter } from 'prom-client';
import { type WebSocket } from 'ws';
import { HandedSocket } from './handed-socket';
import { HostedSessions } from './hosted-sessions';
import { type Elsewhere, ReplicaClient } from './replica-client';
import { asking, notRunning, unreachable } from './runtime-trouble';
import { relay } from './socket-relay';
import { SocketRegistry } from './socket-registry';
import { TerminalHomes } from './terminal-homes';
import { TerminalSessionsService } from './terminal-sessions.service';

type Entry = ReturnType<SocketRegistry['add']>;

/** Sockets on shells. Reads frames itself: in order, and no faster than the PTY takes them. */
@WebSocketGateway({ path: '/api/v1/ws/terminal/:id' })
export class TerminalGateway implements OnGatewayConnection<EdgeSocket> {
  private readonly logger = new Logger('Terminal');
  private readonly resumes: Counter<'result'>;

  constructor(
    private readonly environments: EnvironmentsService,
    private readonly sessions: TerminalSessionsService,
    private readonly hosted: HostedSessions,
    private readonly registry: SocketRegistry,
    private readonly homes: TerminalHomes,
    private readonly replicas: ReplicaClient,
    private readonly clock: Clock,
    metrics: MetricsRegistry,
  ) {
    this.resumes = new Counter({
      name: 'devpocket_terminal_resume_total',
      help: 'Sockets that came back to a session',
      labelNames: ['result'],
      registers: [metrics],
    });
  }

  handleConnection(edge: EdgeSocket): void {
    const { socket, principal, environmentId } = edge;
    if (socket instanceof HandedSocket) {
      this.begin(edge, (entry, query) => this.enterBeside(entry, socket, query));
      return;
    }
    this.begin(edge, async (entry, query) => {
      const environment = await this.environments.locate(principal, environmentId);
      // Its sessions cannot be reached, or the connection would have been handed on.
      if (this.hosted.has(environment)) throw unreachable();
      await this.homes.at(
        environment.id,
        () => this.enterHere(entry, environment, query),
        (home) => this.enterElsewhere(edge, entry, home),
      );
    });
  }

  /** A client of another replica, whose edge has judged it; its shell lives here. */
  handleRelayed(edge: EdgeSocket): void {
    const { principal, environmentId } = edge;
    this.begin(edge, async (entry, query) =>
      this.enterHere(entry, await this.environments.locate(principal, environmentId), query),
    );
  }

  private begin(edge: EdgeSocket, enter: (entry: Entry, query: TerminalQuery) => Promise<void>): void {
    const { socket } = edge;
    // Frames that come before the session is there wait at the client.
    socket.pause();
    const entry = this.registry.add(edge);
    const connect = async (): Promise<void> => {
      const query = readQuery(edge.query);
      if ('code' in query) return closeWithError(socket, CLOSE.notFound, query.code, query.message);
      await enter(entry, query);
    };
    connect().catch((error: unknown) => this.refuse(socket, error));
  }

  private async enterHere(entry: Entry, environment: LocatedEnvironment, query: TerminalQuery): Promise<void> {
    const { socket, stream } = entry;
    const session = await this.enter(entry, environment, query);
    if (!session) return;
    const renew = (token: string): Promise<boolean> => this.registry.renew(entry, token);
    const failed = (error: unknown): void => this.refuse(socket, error);
    const result = attachClient({ socket, stream, session, query, environment, clock: this.clock, renew, failed });
    if (result !== null) this.resumes.inc({ result });
  }

  /** Its session lives beside its shell, and so does its connection by now. */
  private async enterBeside(entry: Entry, socket: HandedSocket, query: TerminalQuery): Promise<void> {
    const { environment } = socket;
    const { id: environmentId, name, template, status } = environment;
    const { sessionId, clientId } = query;
    if (sessionId === null && status !== 'running') throw notRunning(environment);
    const replaces =
      sessionId !== null &&
      (await asking(() => this.hosted.call(environment, { call: 'holds', environmentId, sessionId, clientId })));
    if (this.registry.isFull(entry)) await asking(() => this.hosted.noteClosing(environment));
    if (!(await this.registry.admit(entry, replaces === true))) return;
    this.hosted.renewedBy(socket, (token) => this.registry.renew(entry, token));
    const welcomed = { id: environmentId, name, template, status };
    const result = (await asking(() => socket.ask({ call: 'enter', environment: welcomed, query }))) as Resumed;
    if (result !== null) this.resumes.inc({ result });
  }

  /** @throws ReplicaGone */
  private async enterElsewhere(edge: EdgeSocket, entry: Entry, home: Elsewhere): Promise<void> {
    const { socket } = edge;
    if (socket.readyState !== socket.OPEN) return;
    const upstream = await this.replicas.open(home, edge, socket.protocol);
    if (socket.readyState !== socket.OPEN) {
      upstream.terminate();
      return;
    }
    this.registry.relayed(entry);
    relay(socket, upstream);
    socket.resume();
  }

  /** @returns null for a socket that is gone, or has no place */
  private async enter(entry: Entry, environment: LocatedEnvironment, query: TerminalQuery): Promise<TerminalSession | null> {
    const { socket } = entry;
    // Only one that has a place opens a shell, which may end another.
    if (query.sessionId === null) {
      if (!(await this.registry.admit(entry, false))) return null;
      const session = await this.sessions.open(environment, query.cols ?? 80, query.rows ?? 24);
      if (socket.readyState === socket.OPEN) return session;
      await this.sessions.remove(environment, session.id); // nobody else knows of it
      return null;
    }
    const session = await this.sessions.find(environment, query.sessionId);
    const replaces = query.clientId !== null && session.has(query.clientId);
    return (await this.registry.admit(entry, replaces)) ? session : null;
  }

  private refuse(socket: WebSocket, thrown: unknown): void {
    const error = toDomainError(thrown, false);
    if (error.kind === 'internal') this.logger.error({ err: error.cause ?? error }, 'A terminal failed');
    refuse(socket, error);
  }
}
