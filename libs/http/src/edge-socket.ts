import { type Principal } from '@devpocket/access';
import { type IncomingMessage } from 'node:http';
import { type Duplex } from 'node:stream';
import { type WebSocket } from 'ws';

/** A socket that got past the edge: credential, origin and handshake limit are checked. */
export interface EdgeSocket {
  readonly socket: WebSocket;
  /** What it speaks over: for who frames what it sends itself. */
  readonly stream: Duplex;
  readonly principal: Principal;
  /** By token it ends with the token, unless renewed; by ticket it lives as long as its session or key. */
  readonly byTicket: boolean;
  /** Empty on a path without one: events are those of all environments. */
  readonly environmentId: string;
  readonly query: URLSearchParams;
}

/** A client's connection that got past the edge; its handshake is not answered yet. */
export interface EdgeConnection extends Omit<EdgeSocket, 'socket'> {
  readonly request: IncomingMessage;
  /** Read of it behind the handshake. */
  readonly head: Buffer;
  /** The subprotocol to answer with; null: none. */
  readonly protocol: string | null;
  readonly deflates: boolean;
  readonly requestId: string;
}

/** Who may have a terminal's connection before its handshake is answered here: then another process does that. */
export abstract class ConnectionTaker {
  /** @returns the socket as it is seen from here; null: it stays here. @throws Error only while the connection is still here */
  abstract take(connection: EdgeConnection): Promise<EdgeSocket | null>;
}
