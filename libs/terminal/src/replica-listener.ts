import { HttpSettings, SharedStateSettings } from '@devpocket/config';
import { toDomainError } from '@devpocket/http';
import { Homes } from '@devpocket/shared-state';
import { writeError } from '@devpocket/terminal-session';
import { CLOSE, closeWithError, comeBack, SUBPROTOCOL } from '@devpocket/websocket';
import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import {
  CALL_PATH,
  CONTENT_HEADER,
  MISDIRECTED,
  readHandshake,
  SEAL_HEADER,
  SOCKET_PATH,
  type TerminalCall,
} from './replica-calls';
import { ReplicaSeal } from './replica-seal';
import { TerminalGateway } from './terminal.gateway';
import { TerminalHomes } from './terminal-homes';
import { TerminalSessionsService } from './terminal-sessions.service';

const MOST_BODY_BYTES = 65_536;
/** The edge of the client's own replica has the limit of the contract. */
const MOST_FRAME_BYTES = 32 * 1_048_576;

/** Where other replicas reach the terminals that live here: a port of its own, which no client is told. */
@Injectable()
export class ReplicaListener implements OnApplicationBootstrap, OnModuleDestroy, BeforeApplicationShutdown {
  private readonly sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MOST_FRAME_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => Object.values(SUBPROTOCOL).find((name) => offered.has(name)) ?? false,
  });
  private server: Server | null = null;
  private stopping = false;

  constructor(
    private readonly seals: ReplicaSeal,
    private readonly http: HttpSettings,
    private readonly shared: SharedStateSettings,
    private readonly homes: Homes,
    private readonly terminals: TerminalHomes,
    private readonly sessions: TerminalSessionsService,
    private readonly gateway: TerminalGateway,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (this.shared.redisUrl === null) return;
    const host = this.shared.replicaHost ?? (isLoopback(this.http.host) ? '127.0.0.1' : firstAddress());
    const server = createServer((request, response) => void this.answer(request, response));
    server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => this.upgrade(request, stream, head));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new Error(`REPLICA_HOST=${host}: ${error.message}`, { cause: error })));
      server.listen(this.shared.replicaPort, host, resolve);
    });
    this.server = server;
    const { port } = server.address() as AddressInfo;
    await this.homes.join(`${isIP(host) === 6 ? `[${host}]` : host}:${port}`);
  }

  /** Who is relayed here comes back elsewhere, where the shells then are: that does not wait for whatever else this server has to end. */
  async onModuleDestroy(): Promise<void> {
    this.stopping = true;
    for (const socket of this.sockets.clients)
      closeWithError(socket, CLOSE.restarting, 'restarting', 'The server restarts; connect again', comeBack());
    this.sessions.leaveAll();
    await this.homes.leave();
  }

  beforeApplicationShutdown(): void {
    this.server?.close();
    this.server?.closeAllConnections();
    for (const socket of this.sockets.clients) socket.terminate();
  }

  private upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on('error', () => stream.destroy());
    const content = Buffer.from(headerOf(request, CONTENT_HEADER), 'base64url').toString();
    const refuse = (status: number): void =>
      void stream.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    if (!this.isOurs(request, SOCKET_PATH, content)) return refuse(404);
    const handshake = readHandshake(content);
    if (this.stopping || !this.terminals.isHere(handshake.environmentId)) return refuse(MISDIRECTED);
    this.sockets.handleUpgrade(request, stream, head, (socket) => {
      socket.on('error', () => socket.terminate());
      this.gateway.handleRelayed({ socket, stream, ...handshake });
    });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const end = (status: number, text = ''): void => void response.writeHead(status).end(text);
    try {
      const body = await bodyOf(request);
      if (body === null || request.method !== 'POST' || !this.isOurs(request, CALL_PATH, body)) return end(404);
      const call = JSON.parse(body) as TerminalCall;
      if (this.stopping || !this.terminals.isHere(call.environment.id)) return end(MISDIRECTED);
      end(200, JSON.stringify((await this.do(call)) ?? null));
    } catch (error) {
      end(400, writeError(toDomainError(error, false)));
    }
  }

  private do(call: TerminalCall): Promise<unknown> {
    switch (call.call) {
      case 'list':
        return this.sessions.list(call.environment);
      case 'screen':
        return this.sessions.screen(call.environment, call.sessionId, call.format);
      case 'remove':
        return this.sessions.remove(call.environment, call.sessionId);
    }
  }

  /** Whoever else finds this port is told nothing. */
  private isOurs(request: IncomingMessage, path: string, content: string): boolean {
    return request.url === path && this.seals.accepts(headerOf(request, SEAL_HEADER), this.homes.replica, path, content);
  }
}

function headerOf({ headers }: IncomingMessage, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}

/** Null: it is too large. */
async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MOST_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** This machine's own address where it has one: what a container or a pod is known by. */
function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80'));
  return (outer.find(({ family }) => family === 'IPv4') ?? outer[0])?.address ?? '127.0.0.1';
}
