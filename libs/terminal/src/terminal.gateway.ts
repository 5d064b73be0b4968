import { EnvironmentsService, type LocatedEnvironment } from '@devpocket/environments';
import { CLOSE, CLOSE_CODE, closeWithError, type EdgeSocket, MetricsRegistry, toDomainError } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { Logger } from '@nestjs/common';
import { type OnGatewayConnection, WebSocketGateway } from '@nestjs/websockets';
import { randomBytes } from 'node:crypto';
import { Counter } from 'prom-client';
import { type WebSocket } from 'ws';
import { FrameIntake } from './frame-intake';
import { SocketRegistry } from './socket-registry';
import { type Outlet } from './terminal-client';
import { type TerminalSession } from './terminal-session';
import { TerminalSessionsService } from './terminal-sessions.service';
import { type ClientMessage, readMessage, readQuery, type TerminalQuery } from './terminal.protocol';

/** What nobody reads is not kept beyond this: more than a frame intake lets a client ask for. */
const MOST_UNREAD_BYTES = 16 * 1_048_576;

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
    const { socket } = edge;
    // Frames that come before the session is there wait at the client.
    socket.pause();
    const refuse = (error: unknown): void => this.refuse(socket, error);
    this.connect(edge, this.registry.add(edge))
      .then((connection) => connection?.begin())
      .catch(refuse);
  }

  private async connect(edge: EdgeSocket, entry: Entry): Promise<TerminalConnection | null> {
    const { socket, principal, environmentId } = edge;
    const query = readQuery(edge.query);
    if ('code' in query) {
      closeWithError(socket, CLOSE.notFound, query.code, query.message);
      return null;
    }
    const environment = await this.environments.locate(principal, environmentId);
    // Only one that has a place opens a shell, which may end another.
    if (query.sessionId === null) {
      if (!this.registry.admit(entry, false)) return null;
      const session = await this.sessions.open(environment, query.cols ?? 80, query.rows ?? 24);
      if (socket.readyState === socket.OPEN) return this.attach(entry, environment, session, query);
      await this.sessions.remove(environment, session.id); // nobody else knows of it
      return null;
    }
    const session = await this.sessions.find(environment, query.sessionId);
    const replaces = query.clientId !== null && session.has(query.clientId);
    return this.registry.admit(entry, replaces) ? this.attach(entry, environment, session, query) : null;
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
    const outlet = outletOf(socket, intake);
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
    session.begin(client);
    return new TerminalConnection(entry, session, client, this.registry, intake, (error) => this.refuse(socket, error));
  }

  private refuse(socket: WebSocket, thrown: unknown): void {
    const error = toDomainError(thrown, false);
    if (error.kind === 'internal') this.logger.error({ err: error.cause ?? error }, 'A terminal failed');
    const wait = error.retryAfter === null ? {} : { retry_after_ms: error.retryAfter * 1000 };
    closeWithError(socket, CLOSE_CODE[error.kind], error.code, error.message, { ...error.extra, ...wait });
  }
}

/** One client's frames. */
class TerminalConnection {
  constructor(
    private readonly entry: Entry,
    private readonly session: TerminalSession,
    private readonly client: Parameters<TerminalSession['input']>[0],
    private readonly registry: SocketRegistry,
    private readonly intake: FrameIntake,
    private readonly failed: (error: unknown) => void,
  ) {}

  begin(): void {
    this.intake.begin((text) => this.receive(text), this.failed);
  }

  private receive(text: string): void {
    const message = readMessage(text);
    switch (message.type) {
      case 'input':
        this.input(message);
        break;
      case 'resize':
        this.session.resize(this.client, message.cols, message.rows);
        break;
      case 'ping':
        this.client.send({ type: 'pong', ...(message.id === undefined ? {} : { id: message.id }) });
        break;
      case 'ack':
        this.client.ack(message.seq);
        break;
      case 'control':
        this.session.control(this.client, message.action);
        break;
      case 'auth':
        this.renew(message.token);
        break;
      case 'refused':
        this.error(message.code, message.message);
        break;
    }
  }

  /** No await before the session has it: input stays in order. */
  private input({ bytes, seq }: Extract<ClientMessage, { type: 'input' }>): void {
    const taken = this.session.input(this.client, bytes, seq).then((refusal) => {
      if (refusal)
        this.error(refusal.code, refusal.message, refusal.expected === undefined ? {} : { expected: refusal.expected });
      else if (seq !== null) this.client.send({ type: 'input_ack', seq });
    }, this.failed);
    this.intake.during(bytes.length, taken);
    if (this.intake.backlogged) this.client.wake();
  }

  private renew(token: string): void {
    const renewed = this.registry.renew(this.entry, token).then(
      (own) => {
        if (!own) this.error('token_invalid', 'The token is another user’s');
      },
      () => this.error('token_invalid', 'The token is not valid'),
    );
    this.intake.during('all', renewed);
  }

  private error(code: string, message: string, extra: Readonly<Record<string, unknown>> = {}): void {
    this.client.send({ type: 'error', code, message, ...extra });
  }
}

function outletOf(socket: WebSocket, intake: FrameIntake): Outlet {
  return {
    send: (message, sent) => {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > MOST_UNREAD_BYTES) {
        socket.terminate();
        return;
      }
      socket.send(JSON.stringify(message), (error) => {
        if (!error) sent?.();
      });
    },
    close: (code, reason) => socket.close(code, reason),
    isDeaf: () => intake.backlogged,
  };
}
