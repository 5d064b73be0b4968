import { Authenticator, checkScope, type CredentialRef, type Principal } from '@devpocket/access';
import { AuthSettings, HttpSettings, RateLimitSettings } from '@devpocket/config';
import {
  ConnectionTaker,
  EdgeLimiter,
  type EdgeSocket,
  MINUTE_MS,
  rateLimited,
  requestIdOf,
  toDomainError,
  toProblem,
} from '@devpocket/http';
import {
  CLOSE,
  CLOSE_CODE,
  closeWithError,
  comeBack,
  DEFLATE,
  endListening,
  refuseHandshake,
  TERMINAL_FRAME_BYTES,
} from '@devpocket/websocket';
import { DomainError, isId, Looks } from '@devpocket/kernel';
import { Counters, type TicketPurpose, Tickets } from '@devpocket/shared-state';
import { type INestApplication, type WebSocketAdapter } from '@nestjs/common';
import { EventEmitter } from 'node:events';
import { type IncomingMessage, type Server } from 'node:http';
import { type Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { FOREIGN_ORIGIN, foreignOrigin, Origins } from './origins';
import { selectProtocol } from './ws-protocol';

const FRAME_BYTES = 1_048_576;
const USER_HANDSHAKES = 60;
const ADDRESS_HANDSHAKES = 100;
const NOTHING_SPOKEN = 'Offer the subprotocol devpocket.v1.json, beside a bearer item too, or none';

/** One gateway's path, with its `:id` if it has one. */
interface Route {
  readonly pattern: RegExp;
  readonly purpose: TicketPurpose;
  readonly plain: WebSocketServer;
  readonly deflating: WebSocketServer;
  readonly gateway: EventEmitter;
}

interface Credentials {
  readonly principal: Principal;
  readonly byTicket: boolean;
}

/**
 * The WebSocket edge. Matches path patterns, and asks for path, protocol, origin, credential and handshake limit before a gateway
 * sees the socket. Nest's own adapter matches exact paths and runs neither guards nor order for what a terminal needs.
 */
export class DevPocketWsAdapter implements WebSocketAdapter<EventEmitter, EdgeSocket> {
  private readonly routes: Route[] = [];
  private closing = false;

  private readonly origins: Origins;
  private readonly looks = new Looks<Principal>();

  constructor(private readonly app: INestApplication) {
    this.origins = new Origins(app.get(HttpSettings));
  }

  create(_port: number, options: { readonly path?: string } = {}): EventEmitter {
    const path = options.path ?? '/';
    const purpose = purposeOf(path);
    const gateway = new EventEmitter();
    if (this.routes.length === 0) this.listen();
    const serverOf = (perMessageDeflate: typeof DEFLATE | false): WebSocketServer => {
      const sockets = new WebSocketServer({
        noServer: true,
        maxPayload: purpose === 'terminal' ? TERMINAL_FRAME_BYTES : FRAME_BYTES,
        handleProtocols: (offered) => selectProtocol([...offered]) ?? false,
        perMessageDeflate,
      });
      sockets.on('headers', (headers, request) => headers.push(`X-Request-Id: ${idOf(request)}`));
      sockets.on('wsClientError', ({ message }, stream, request) => reject(request, stream, malformed(message)));
      return sockets;
    };
    const pattern = new RegExp(`^${path.replace('/:id', '/([^/]+)')}/?$`);
    this.routes.push({ pattern, purpose, plain: serverOf(false), deflating: serverOf(DEFLATE), gateway });
    return gateway;
  }

  bindClientConnect(gateway: EventEmitter, callback: (socket: EdgeSocket) => void): void {
    gateway.on('connection', callback);
  }

  bindClientDisconnect(client: EdgeSocket, callback: () => void): void {
    client.socket.on('close', callback);
  }

  /** Gateways read frames themselves, in order. */
  bindMessageHandlers(): void {
    return;
  }

  close(gateway: EventEmitter): void {
    gateway.removeAllListeners();
  }

  /** Tells every client to come back in a moment, each in its own. Called before Nest ends the rest. */
  restarting(): void {
    this.closing = true;
    for (const { plain, deflating } of this.routes) {
      for (const socket of [...plain.clients, ...deflating.clients]) {
        closeWithError(socket, CLOSE.restarting, 'restarting', 'The server restarts; connect again', comeBack());
      }
    }
  }

  dispose(): Promise<void> {
    this.restarting();
    return Promise.resolve();
  }

  private listen(): void {
    const server = this.app.getHttpServer() as Server & { shouldUpgradeCallback: (request: IncomingMessage) => boolean };
    // Any other upgrade that is offered (h2c) is not taken: the request is answered as it is (RFC 9110 §7.8).
    server.shouldUpgradeCallback = ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket';
    server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
      stream.on('error', () => stream.destroy());
      this.upgrade(request, stream, head).catch((error: unknown) => reject(request, stream, toDomainError(error, false)));
    });
  }

  private async upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const url = URL.parse(request.url ?? '/', 'http://relative');
    const route = url && this.routes.find(({ pattern }) => pattern.test(url.pathname));
    if (!route) return reject(request, stream, (await this.overAddressLimit(request)) ?? DomainError.notFound('Path'));
    if (this.closing) return reject(request, stream, stopping());
    const offered = (request.headers['sec-websocket-protocol'] ?? '')
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean);
    if (offered.length > 0 && selectProtocol(offered) === null)
      return reject(request, stream, (await this.overAddressLimit(request)) ?? malformed(NOTHING_SPOKEN));
    const environmentId = decode(route.pattern.exec(url.pathname)?.[1] ?? '');
    const checked = await this.check(request, url.searchParams, offered, route.purpose, environmentId);
    // A caller without a good credential counts for its address, and over the limit is not worth a handshake.
    if (checked instanceof DomainError && (checked.kind === 'unauthenticated' || checked.code === FOREIGN_ORIGIN)) {
      const over = await this.overAddressLimit(request);
      if (over) return reject(request, stream, over);
    }
    if (this.closing) return reject(request, stream, stopping());
    const deflates = url.searchParams.get('deflate') === '1';
    if (route.purpose === 'terminal' && !(checked instanceof DomainError)) {
      const edge = { request, stream, head, environmentId, query: url.searchParams, ...checked };
      const answer = { protocol: selectProtocol(offered), deflates, requestId: idOf(request) };
      const taken = await this.app.get(ConnectionTaker).take({ ...edge, ...answer });
      if (taken) {
        route.gateway.emit('connection', taken);
        return;
      }
      if (this.closing) return reject(request, stream, stopping());
    }
    const sockets = deflates ? route.deflating : route.plain;
    sockets.handleUpgrade(request, stream, head, (socket) => {
      socket.on('error', () => endListening(socket)); // a frame that is too large or broken: ws has closed it with its code
      if (checked instanceof DomainError) refuse(socket, checked);
      else
        route.gateway.emit('connection', {
          socket,
          stream,
          environmentId,
          query: url.searchParams,
          ...checked,
        } satisfies EdgeSocket);
    });
  }

  /** Who is calling, or why not: origin, credential, the user's handshakes, scope, a proven address, the environment's id. */
  private async check(
    request: IncomingMessage,
    query: URLSearchParams,
    offered: readonly string[],
    purpose: TicketPurpose,
    environmentId: string,
  ): Promise<Credentials | DomainError> {
    try {
      this.checkOrigin(request);
      const credentials = await this.authenticate(query, offered, purpose, environmentId);
      await this.checkUserLimit(credentials.principal);
      checkScope(purpose === 'events' ? 'env:read' : 'terminal', credentials.principal);
      if (purpose !== 'events') this.checkAddress(credentials.principal);
      if (purpose !== 'events' && !isId(environmentId)) throw DomainError.notFound('Environment');
      return credentials;
    } catch (error) {
      return toDomainError(error, false);
    }
  }

  private async authenticate(
    query: URLSearchParams,
    offered: readonly string[],
    purpose: TicketPurpose,
    environmentId: string,
  ): Promise<Credentials> {
    const authenticator = this.app.get(Authenticator);
    const ticket = query.get('ticket');
    if (ticket !== null) {
      const tickets = this.app.get<Tickets<CredentialRef>>(Tickets);
      const grant = await tickets.redeem(ticket, purpose, purpose === 'events' ? null : environmentId);
      if (!grant)
        throw new DomainError('unauthenticated', 'ticket_invalid', 'The ticket is not valid, was used, or is older than 30 s');
      return { principal: await authenticator.restore(grant.credential), byTicket: true };
    }
    const bearer = offered.find((item) => item.startsWith('bearer.'))?.slice('bearer.'.length) ?? query.get('token');
    if (bearer === null) throw new DomainError('unauthenticated', 'token_missing', 'A ticket or an access token is needed');
    // A page or a phone that comes back opens all of its sockets at once.
    const principal = await this.looks.get(bearer, () => authenticator.authenticate(bearer));
    return { principal, byTicket: false };
  }

  private checkOrigin(request: IncomingMessage): void {
    const { origin, host } = request.headers;
    if (origin !== undefined && !this.origins.allows(origin, host)) throw foreignOrigin();
  }

  /** Of events there is nothing to hide: who has not proven an address has no environment, but waits for its first. */
  private checkAddress({ isVerified }: Principal): void {
    if (this.app.get(AuthSettings).verifiesEmail && !isVerified)
      throw new DomainError('forbidden', 'email_not_verified', 'Please verify your email address');
  }

  private async checkUserLimit({ userId }: Principal): Promise<void> {
    if (!this.app.get(RateLimitSettings).enabled) return;
    const hit = await this.app.get(Counters).hit(`handshake:${userId}`, USER_HANDSHAKES, MINUTE_MS);
    if (!hit.allowed)
      throw new DomainError('rate_limited', 'rate_limited', `At most ${USER_HANDSHAKES} connections a minute`, {
        extra: { retry_after_ms: hit.resetMs },
      });
  }

  private async overAddressLimit(request: IncomingMessage): Promise<DomainError | null> {
    if (!this.app.get(RateLimitSettings).enabled) return null;
    const address = this.app.get(EdgeLimiter).addressKeyOf(request);
    const hit = await this.app.get(Counters).hit(`handshake-address:${address}`, ADDRESS_HANDSHAKES, MINUTE_MS);
    return hit.allowed ? null : rateLimited(hit);
  }
}

function purposeOf(path: string): TicketPurpose {
  if (path.includes('/terminal/')) return 'terminal';
  return path.includes('/logs/') ? 'logs' : 'events';
}

function refuse(socket: WebSocket, error: DomainError): void {
  closeWithError(socket, CLOSE_CODE[error.kind], error.code, error.message, error.extra);
}

const idOf = (request: IncomingMessage): string => requestIdOf(request.headers['x-request-id']);
const malformed = (message: string): DomainError => new DomainError('malformed', 'malformed_request', message);
const stopping = (): DomainError => new DomainError('unavailable', 'unavailable', 'The server restarts; connect again');

/** An upgrade that is not taken is answered as any request. */
function reject(request: IncomingMessage, stream: Duplex, error: DomainError): void {
  refuseHandshake(stream, toProblem(error, idOf(request)));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
