import { EnvironmentsService, type LocatedEnvironment } from '@devpocket/environments';
import { CLOSE, CLOSE_CODE, closeWithError, type EdgeSocket, MetricsRegistry, toDomainError } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { Logger } from '@nestjs/common';
import { type OnGatewayConnection, WebSocketGateway } from '@nestjs/websockets';
import { randomBytes } from 'node:crypto';
import { Counter } from 'prom-client';
import { type WebSocket } from 'ws';
import { FrameIntake } from './frame-intake';
import { readQuery, type TerminalQuery } from './query.protocol';
import { type Elsewhere, ReplicaClient } from './replica-client';
import { SocketOutlet } from './socket-outlet';
import { relay } from './socket-relay';
import { SocketRegistry } from './socket-registry';
import { TerminalHomes } from './terminal-homes';
import { TerminalConnection } from './terminal-connection';
import { type TerminalSession } from './terminal-session';
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
    this.begin(edge, (entry, environment, query) =>
      this.homes.at(
        environment.id,
        () => this.enterHere(entry, environment, query),
        (home) => this.enterElsewhere(edge, entry, home),
      ),
    );
  }

  /** A client of another replica, whose edge has judged it; its shell lives here. */
  handleRelayed(edge: EdgeSocket): void {
    this.begin(edge, (entry, environment, query) => this.enterHere(entry, environment, query));
  }

  private begin(
    edge: EdgeSocket,
    enter: (entry: Entry, environment: LocatedEnvironment, query: TerminalQuery) => Promise<void>,
  ): void {
    const { socket, principal, environmentId } = edge;
    // Frames that come before the session is there wait at the client.
    socket.pause();
    const entry = this.registry.add(edge);
    const connect = async (): Promise<void> => {
      const query = readQuery(edge.query);
      if ('code' in query) return closeWithError(socket, CLOSE.notFound, query.code, query.message);
      await enter(entry, await this.environments.locate(principal, environmentId), query);
    };
    connect().catch((error: unknown) => this.refuse(socket, error));
  }

  private async enterHere(entry: Entry, environment: LocatedEnvironment, query: TerminalQuery): Promise<void> {
    (await this.connect(entry, environment, query))?.begin();
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

  private async connect(entry: Entry, environment: LocatedEnvironment, query: TerminalQuery): Promise<TerminalConnection | null> {
    const { socket } = entry;
    // Only one that has a place opens a shell, which may end another.
    if (query.sessionId === null) {
      if (!(await this.registry.admit(entry, false))) return null;
      const session = await this.sessions.open(environment, query.cols ?? 80, query.rows ?? 24);
      if (socket.readyState === socket.OPEN) return this.attach(entry, environment, session, query);
      await this.sessions.remove(environment, session.id); // nobody else knows of it
      return null;
    }
    const session = await this.sessions.find(environment, query.sessionId);
    const replaces = query.clientId !== null && session.has(query.clientId);
    return (await this.registry.admit(entry, replaces)) ? this.attach(entry, environment, session, query) : null;
  }

  private attach(
    entry: Entry,
    environment: LocatedEnvironment,
    session: TerminalSession,
    query: TerminalQuery,
  ): TerminalConnection | null {
    const { socket } = entry;
    const clientId = query.clientId ?? randomBytes(8).toString('hex');
    const intake = new FrameIntake(socket, this.clock);
    const outlet = new SocketOutlet(socket, entry.stream, intake);
    const attachment = session.attach({
      clientId,
      cols: query.cols,
      rows: query.rows,
      after: query.after,
      acks: query.acks,
      view: query.view,
      outlet,
    });
    if (!attachment) {
      this.resumes.inc({ result: 'bad_after' });
      closeWithError(socket, CLOSE.notFound, 'bad_after', 'after lies beyond the end of the output');
      return null;
    }
    const { client, seq, gap, replayUntil, inputSeq } = attachment;
    if (query.sessionId !== null) this.resumes.inc({ result: gap > 0 ? 'gap' : 'complete' });
    const { cols, rows } = session.describe();
    const { id, name, template, status } = environment;
    outlet.send({
      type: 'welcome',
      message: `Connected to ${name}`,
      environment: { id, name, template, status },
      session_id: session.id,
      client_id: clientId,
      resumed: query.sessionId !== null,
      gap,
      seq,
      replay_until: replayUntil,
      input_seq: inputSeq,
      cols,
      rows,
      server_time: this.clock.now().toISOString(),
    });
    socket.on('close', () => session.detach(client));
    outlet.onAnswer((position) => client.heard(position));
    session.begin(client);
    const renew = (token: string): Promise<boolean> => this.registry.renew(entry, token);
    return new TerminalConnection({ socket, session, client, intake, renew, failed: (error) => this.refuse(socket, error) });
  }

  private refuse(socket: WebSocket, thrown: unknown): void {
    const error = toDomainError(thrown, false);
    if (error.kind === 'internal') this.logger.error({ err: error.cause ?? error }, 'A terminal failed');
    const wait = error.retryAfter === null ? {} : { retry_after_ms: error.retryAfter * 1000 };
    closeWithError(socket, CLOSE_CODE[error.kind], error.code, error.message, { ...error.extra, ...wait });
  }
}
