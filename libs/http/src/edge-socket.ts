import { type Principal } from '@devpocket/access';
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
