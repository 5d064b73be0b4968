import { type Clock, DomainError, Loop } from '@devpocket/kernel';
import { type TerminalChannel, type TerminalRequest } from '@devpocket/runtime';
import {
  CLOSE,
  closeWithError,
  comeBack,
  DEFLATE,
  endListening,
  refuse,
  refuseHandshake,
  sendMessage,
  SocketPulse,
  SUBPROTOCOL,
  TERMINAL_FRAME_BYTES,
} from '@devpocket/websocket';
import { type IncomingMessage } from 'node:http';
import { type Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { attachClient, type Resumed } from './attach-client';
import { type ScreenAt } from './session-screen';
import { ScreenThread } from './screen-thread';
import { type Connection, type SessionAnswer, type SessionCall, type SessionNews, writeError } from './session-calls';
import { SessionStore, type ShellSource, SWEEP_MS } from './session-store';

const LOOK_MS = 1_000;
/** Until a server says. */
const STALL_SECONDS = 600;
const UNAVAILABLE = new DomainError('unavailable', 'unavailable', 'The server restarts; connect again');

export interface SessionServerNeeds {
  /** Output kept per session, in bytes. */
  readonly bufferBytes: number;
  /** @throws RuntimeError */
  open(environmentId: string, request: TerminalRequest): TerminalChannel;
  tell(news: SessionNews): void;
  /** What was given to this process by that name; null: nothing. */
  connection(name: string): Socket | null;
  log(message: string): void;
}

/** A request as far as it is known here. */
interface Handshake extends IncomingMessage {
  readonly requestId: string;
}

interface Client {
  readonly socket: WebSocket;
  readonly stream: Socket;
  readonly pulse: SocketPulse;
}

/**
 * Sessions and their clients' sockets, in the process that has the shells. A server beside it judges who comes in and who has to go;
 * what is typed and printed does not pass there.
 */
export class SessionServer {
  private readonly limits: { maxSessionsPerEnvironment: number; bufferBytes: number };
  private stallMs = STALL_SECONDS * 1_000;
  private readonly store: SessionStore;
  private readonly clients = new Map<number, Client>();
  private readonly plain = socketServer(false);
  private readonly deflating = socketServer(DEFLATE);
  private readonly asked = new Map<number, (own: boolean | null) => void>();
  private lastAsk = 0;
  private readonly active = new Set<string>();
  private printed = 0;
  private alive = 0;

  constructor(
    private readonly needs: SessionServerNeeds,
    private readonly clock: Clock,
  ) {
    const { bufferBytes } = needs;
    this.limits = { maxSessionsPerEnvironment: 1, bufferBytes };
    this.store = new SessionStore(this.limits, clock, new ScreenThread(clock), {
      output: (bytes) => void (this.printed += bytes),
      active: (environmentId) => void this.active.add(environmentId),
    });
    const onError = (error: unknown): void => needs.log(`a look at the sessions failed: ${stackOf(error)}`);
    new Loop(clock, { name: 'look', intervalMs: LOOK_MS, jitter: 0, turn: () => this.look(), onError }).start();
    new Loop(clock, { name: 'sweep', intervalMs: SWEEP_MS, turn: () => this.store.sweep(), onError }).start();
  }

  /** @see SessionCall @throws RuntimeError */
  async answer(call: SessionCall): Promise<SessionAnswer> {
    try {
      return { value: (await this.do(call)) ?? null };
    } catch (error) {
      if (error instanceof DomainError) return { error: writeError(error) };
      throw error;
    }
  }

  /** The server is gone, and its clients have nobody who judges them; the sessions stay. */
  lost(): void {
    for (const { socket } of this.clients.values())
      closeWithError(socket, CLOSE.restarting, 'restarting', 'The server restarts; connect again', comeBack());
    this.clients.clear();
    for (const tell of this.asked.values()) tell(null);
    this.asked.clear();
  }

  private do(call: SessionCall): unknown {
    switch (call.call) {
      case 'configure':
        this.limits.maxSessionsPerEnvironment = call.maxSessionsPerEnvironment;
        this.limits.bufferBytes = call.bufferBytes;
        this.stallMs = call.stallSeconds * 1_000;
        // A server that has just come knows of none.
        this.alive = 0;
        return null;
      case 'connection':
        return this.accept(call.id, call);
      case 'enter':
        return this.enter(call);
      case 'send':
        return this.at(call.id, (socket) => sendMessage(socket, call.message));
      case 'close':
        return this.at(call.id, (socket) => {
          socket.close(call.code, call.reason);
          endListening(socket);
        });
      case 'terminate':
        return this.clients.get(call.id)?.socket.terminate();
      case 'closing':
        return [...this.clients].filter(([, { socket }]) => socket.readyState !== socket.OPEN).map(([id]) => id);
      case 'holds':
        return this.holds(call.environmentId, call.sessionId, call.clientId);
      case 'list':
        return this.store.list(this.source(call.environmentId));
      case 'screen':
        return this.screen(call);
      case 'remove':
        return this.remove(call.environmentId, call.sessionId);
      case 'told':
        return this.store.told(call.environmentId, call.message, call.runs, call.deleted);
      case 'forget':
        return this.store.forgetAll(call.environmentId);
      case 'renewed':
        this.asked.get(call.ask)?.(call.own);
        this.asked.delete(call.ask);
        return null;
      case 'leave':
        return this.lost();
    }
  }

  /** Answers a handshake. Nothing is read from the socket until it is on a session. */
  private accept(id: number, { name, method, headers, head, deflates, requestId }: Connection): void {
    const stream = this.needs.connection(name);
    if (!stream) throw UNAVAILABLE;
    const request = { method, headers, requestId } as unknown as Handshake;
    const server = deflates ? this.deflating : this.plain;
    server.handleUpgrade(request, stream, Buffer.from(head, 'base64'), (socket) => {
      socket.on('error', () => endListening(socket)); // a frame that is too large or broken: ws has closed it with its code
      socket.pause();
      const client = { socket, stream, pulse: new SocketPulse(socket, () => this.clock.millis()) };
      this.clients.set(id, client);
      socket.on('close', () => {
        if (this.clients.get(id) !== client) return;
        this.clients.delete(id);
        this.needs.tell({ news: 'closed', id });
      });
    });
    if (!this.clients.has(id)) throw UNAVAILABLE; // it went meanwhile
  }

  /** @returns null also for one that is gone */
  private async enter({ id, environment, query }: Extract<SessionCall, { call: 'enter' }>): Promise<Resumed> {
    const client = this.clients.get(id);
    if (!client) return null;
    const { socket, stream } = client;
    const isOpen = (): boolean => socket.readyState === socket.OPEN;
    const source = this.source(environment.id);
    const session =
      query.sessionId === null
        ? await this.store.open(source, query.cols ?? 80, query.rows ?? 24)
        : await this.store.find(source, query.sessionId);
    if (!isOpen()) {
      if (query.sessionId === null) await this.store.close(session); // nobody else knows of it
      return null;
    }
    const renew = (token: string): Promise<boolean> => this.renew(id, token);
    const failed = (error: unknown): void => {
      const failure = failureOf(error);
      if (failure.kind === 'internal') this.needs.log(`a terminal failed: ${stackOf(error)}`);
      refuse(socket, failure);
    };
    return attachClient({ socket, stream, session, query, environment, clock: this.clock, renew, failed });
  }

  /** Is there such a session, and is that client at it? @throws DomainError `not_found` */
  private async holds(environmentId: string, sessionId: string, clientId: string | null): Promise<boolean> {
    const session = await this.store.find(this.source(environmentId), sessionId);
    return clientId !== null && session.has(clientId);
  }

  private async screen({ environmentId, sessionId, format }: Extract<SessionCall, { call: 'screen' }>): Promise<ScreenAt> {
    const session = await this.store.find(this.source(environmentId), sessionId);
    return this.store.picture(session, format);
  }

  private async remove(environmentId: string, sessionId: string): Promise<void> {
    await this.store.close(await this.store.find(this.source(environmentId), sessionId));
  }

  /** @throws Error when the token is not valid, or nobody says whose it is */
  private async renew(id: number, token: string): Promise<boolean> {
    this.lastAsk += 1;
    const ask = this.lastAsk;
    const answer = new Promise<boolean | null>((resolve) => this.asked.set(ask, resolve));
    this.needs.tell({ news: 'renew', id, ask, token });
    const own = await answer;
    if (own === null) throw new Error('The token is not valid');
    return own;
  }

  private source(environmentId: string): ShellSource {
    const open = (request: TerminalRequest): Promise<TerminalChannel> =>
      Promise.resolve().then(() => this.needs.open(environmentId, request));
    return { environmentId, open, kept: null };
  }

  private at(id: number, act: (socket: WebSocket) => void): void {
    const client = this.clients.get(id);
    if (client && client.socket.readyState === client.socket.OPEN) act(client.socket);
  }

  private look(): Promise<void> {
    const now = this.clock.millis();
    for (const { pulse } of this.clients.values()) pulse.look(now, this.stallMs);
    const { alive } = this.store;
    if (this.active.size > 0 || this.printed > 0 || alive !== this.alive) {
      this.needs.tell({ news: 'activity', environmentIds: [...this.active], printed: this.printed, alive });
      this.active.clear();
      this.printed = 0;
      this.alive = alive;
    }
    return Promise.resolve();
  }
}

function stackOf(error: unknown): string {
  return (error instanceof Error ? error.stack : null) ?? String(error);
}

function failureOf(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  return new DomainError('internal', 'internal', 'Something went wrong on our side', { cause: error });
}

function socketServer(perMessageDeflate: typeof DEFLATE | false): WebSocketServer {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: TERMINAL_FRAME_BYTES,
    handleProtocols: (offered) => Object.values(SUBPROTOCOL).find((name) => offered.has(name)) ?? false,
    perMessageDeflate,
  });
  server.on('headers', (headers, request) => headers.push(`X-Request-Id: ${(request as Handshake).requestId}`));
  server.on('wsClientError', ({ message: detail }, stream, request) => {
    const { requestId } = request as Handshake;
    const problem = { type: 'about:blank', title: 'Bad Request', status: 400, detail, code: 'malformed_request' };
    refuseHandshake(stream, { ...problem, request_id: requestId });
  });
  return server;
}
