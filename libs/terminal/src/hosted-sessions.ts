import { TerminalSettings } from '@devpocket/config';
import { ActivityRecorder, EnvironmentsService, type LocatedEnvironment } from '@devpocket/environments';
import { ConnectionTaker, type EdgeConnection, type EdgeSocket } from '@devpocket/http';
import { RuntimeError, RuntimeRegistry, type SessionProcess } from '@devpocket/runtime';
import { type Connection, readError, type SessionAnswer, type SessionCall, type SessionNews } from '@devpocket/terminal-session';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Socket } from 'node:net';
import { type WebSocket } from 'ws';
import { HandedSocket } from './handed-socket';

/** Of a handshake what it takes to answer it. Credentials and cookies are not among them. */
const NEEDED_HEADERS = ['upgrade', 'connection', 'sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions'];

const ATTEMPTS = 2;

/** What Node knows of a connection and does not show. */
interface Handle {
  readonly fd: number;
  readStop(): void;
}

interface Process {
  readonly process: SessionProcess;
  /** It has been told the settings. */
  configured: boolean;
  alive: number;
}

/** Who may renew a socket's token: its registry. */
type Renew = (token: string) => Promise<boolean>;

/**
 * Sessions that live beside their shells, in a process of the runtime's: clients that are let in are handed to it, connection and all, so
 * that what they type and read does not pass here.
 */
@Injectable()
export class HostedSessions extends ConnectionTaker implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly processes = new Map<string, Process>(); // by runtime
  private readonly sockets = new Map<number, HandedSocket>();
  private readonly renewals = new WeakMap<HandedSocket, Renew>();
  private lastId = 0;
  private leaving = false;
  private printed = 0;

  constructor(
    private readonly runtimes: RuntimeRegistry,
    private readonly environments: EnvironmentsService,
    private readonly settings: TerminalSettings,
    private readonly activity: ActivityRecorder,
  ) {
    super();
  }

  onApplicationBootstrap(): void {
    for (const driver of this.runtimes.all()) {
      const process = driver.sessionProcess();
      if (!process) continue;
      const entry: Process = { process, configured: false, alive: 0 };
      this.processes.set(driver.kind, entry);
      process.listen(
        (news) => this.hear(entry, news as SessionNews),
        () => this.lost(entry),
      );
      this.ask(entry, { call: 'closing' }).catch(() => undefined); // it is asked again with the first client
    }
  }

  /** Who is attached comes back in a moment, to the server that follows. */
  async onModuleDestroy(): Promise<void> {
    this.leaving = true;
    await Promise.all([...this.processes.values()].map((entry) => this.ask(entry, { call: 'leave' }).catch(() => undefined)));
  }

  /** Shells that run. */
  get alive(): number {
    return [...this.processes.values()].reduce((sum, { alive }) => sum + alive, 0);
  }

  /** Bytes printed since this was asked last. */
  takePrinted(): number {
    const { printed } = this;
    this.printed = 0;
    return printed;
  }

  /** Do the sessions of this environment live in such a process? */
  has(environment: LocatedEnvironment): boolean {
    return this.processes.has(environment.runtimeKind);
  }

  /** @throws DomainError @throws RuntimeError */
  call(environment: LocatedEnvironment, call: SessionCall): Promise<unknown> {
    const entry = this.processes.get(environment.runtimeKind);
    if (!entry) throw new Error(`no process holds sessions of ${environment.runtimeKind}`);
    return this.ask(entry, call);
  }

  /** Says something to every such process: which of them it concerns is seen there. */
  tell(call: SessionCall): void {
    for (const entry of this.processes.values()) this.ask(entry, call).catch(() => undefined); // its clients are told by its end
  }

  /** That a client has closed a socket is heard a moment later than that it opens another. */
  async noteClosing(environment: LocatedEnvironment): Promise<void> {
    const ids = (await this.call(environment, { call: 'closing' })) as readonly number[];
    for (const id of ids) this.sockets.get(id)?.closing();
  }

  /** @param renew @see SocketRegistry.renew */
  renewedBy(socket: HandedSocket, renew: Renew): void {
    this.renewals.set(socket, renew);
  }

  async take(edge: EdgeConnection): Promise<EdgeSocket | null> {
    const { request, stream, principal, byTicket, environmentId, query } = edge;
    if (this.processes.size === 0 || !(stream instanceof Socket)) return null;
    // Whatever is wrong with it is answered where everybody is.
    const environment = await this.environments.locate(principal, environmentId).catch(() => null);
    const entry = environment && this.processes.get(environment.runtimeKind);
    if (!entry) return null;
    const given = await this.give(entry, stream);
    if (!given) return null;
    this.lastId += 1;
    const id = this.lastId;
    const headers: Record<string, string> = edge.protocol === null ? {} : { 'sec-websocket-protocol': edge.protocol };
    for (const name of NEEDED_HEADERS) {
      const value = request.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    // What was read of it goes along, and nothing more is read here.
    given.handle.readStop();
    const buffered = stream.read() as Buffer | null;
    const connection: Connection = {
      name: given.name,
      method: request.method ?? '',
      headers,
      head: Buffer.concat([edge.head, buffered ?? Buffer.alloc(0)]).toString('base64'),
      deflates: edge.deflates,
      requestId: edge.requestId,
    };
    stream.destroy();
    const socket = new HandedSocket(environment, (call) => this.ask(entry, { ...call, id }));
    this.sockets.set(id, socket);
    socket.once('close', () => this.sockets.delete(id));
    this.ask(entry, { call: 'connection', id, ...connection }).catch(() => {
      // It may yet be done, when nobody here knows of it any more.
      socket.terminate();
      socket.closed();
    });
    return { socket: socket as unknown as WebSocket, stream, principal, byTicket, environmentId, query };
  }

  /** @returns null: the client has gone, or the process cannot be reached */
  private async give(entry: Process, stream: Socket): Promise<{ readonly name: string; readonly handle: Handle } | null> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      // To ask one that is gone brings up another.
      if (attempt > 0) await this.ask(entry, { call: 'closing' }).catch(() => undefined);
      const handle = (stream as unknown as { readonly _handle: Handle | null })._handle;
      if (!handle || handle.fd < 0 || this.leaving) return null;
      try {
        return { name: entry.process.give(handle.fd), handle };
      } catch (error) {
        if (!(error instanceof RuntimeError)) throw error;
      }
    }
    return null;
  }

  private async ask(entry: Process, call: SessionCall): Promise<unknown> {
    if (!entry.configured) {
      entry.configured = true;
      const { maxSessionsPerEnvironment, stallSeconds, bufferBytes } = this.settings;
      const configure: SessionCall = { call: 'configure', maxSessionsPerEnvironment, stallSeconds, bufferBytes };
      entry.process.call(configure).catch(() => (entry.configured = false));
    }
    const answer = (await entry.process.call(call)) as SessionAnswer;
    if ('error' in answer) throw readError(answer.error);
    return answer.value;
  }

  private hear(entry: Process, news: SessionNews): void {
    switch (news.news) {
      case 'closed':
        this.sockets.get(news.id)?.closed();
        break;
      case 'renew':
        void this.renew(entry, news);
        break;
      case 'activity':
        for (const environmentId of news.environmentIds) this.activity.touch(environmentId);
        this.printed += news.printed;
        entry.alive = news.alive;
        break;
    }
  }

  private async renew(entry: Process, { id, ask, token }: Extract<SessionNews, { news: 'renew' }>): Promise<void> {
    const socket = this.sockets.get(id);
    const renewed = socket && this.renewals.get(socket);
    const own = renewed ? await renewed(token).catch(() => null) : null;
    await this.ask(entry, { call: 'renewed', ask, own }).catch(() => undefined); // who asked is gone
  }

  private lost(entry: Process): void {
    entry.configured = false;
    entry.alive = 0;
    for (const socket of [...this.sockets.values()])
      if (this.processes.get(socket.environment.runtimeKind) === entry) socket.closed();
  }
}
