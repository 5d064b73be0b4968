import { type Server } from 'node:http';

/** How long clients may take, in milliseconds, and how many there may be. */
export interface ConnectionLimits {
  /** Until the headers are there, from the connection or the first byte on. */
  readonly headersMs: number;
  /** Until the body is there too. */
  readonly requestMs: number;
  /** Without a byte in either direction: who takes no answer, or went away unheard. Sockets and streams of ours are never so quiet. */
  readonly silentMs: number;
  /** Between two requests; longer than proxies keep theirs, so that none is closed under a request that is on its way. */
  readonly idleMs: number;
  /** How often it is looked for who is late. */
  readonly checkEveryMs: number;
  /** Beyond them new ones are dropped, so that files are left for database and terminals. */
  readonly connections: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  headersMs: 15_000,
  requestMs: 60_000,
  silentMs: 120_000,
  idleMs: 75_000,
  checkEveryMs: 5_000,
  connections: 10_000,
};

/** From now on whoever has its answer is let go: a connection that waits for another request would hold up the stop. */
export function endConnections(server: Server): void {
  server.keepAliveTimeout = 1;
  server.closeIdleConnections();
}

/** Bounds what a client can hold by doing nothing. Before `listen`: then Node takes the time of its checks. */
export function limitConnections(server: Server, limits: ConnectionLimits): void {
  server.headersTimeout = limits.headersMs;
  server.requestTimeout = limits.requestMs;
  server.timeout = limits.silentMs;
  server.keepAliveTimeout = limits.idleMs;
  server.maxConnections = limits.connections;
  // An option of `createServer` (Node, http), which Nest does not hand on; it is read at each `listen`.
  Object.assign(server, { connectionsCheckingInterval: limits.checkEveryMs });
}
