import { type Principal } from '@devpocket/access';
import { type ErrorKind } from '@devpocket/kernel';
import { type WebSocket } from 'ws';

/** A socket that got past the edge: credential, origin and handshake limit are checked. */
export interface EdgeSocket {
  readonly socket: WebSocket;
  readonly principal: Principal;
  /** By token it ends with the token, unless renewed; by ticket it lives as long as its session or key. */
  readonly byTicket: boolean;
  /** Empty on a path without one: events are those of all environments. */
  readonly environmentId: string;
  readonly query: URLSearchParams;
}

/** Close codes of the contract, §6. */
export const CLOSE = {
  done: 1000,
  tooLarge: 1009,
  internal: 1011,
  restarting: 1012,
  unauthenticated: 4401,
  forbidden: 4403,
  notFound: 4404,
  replaced: 4408,
  notRunning: 4409,
  gone: 4410,
  limited: 4429,
} as const;

/** The sockets' table over the error kinds. */
export const CLOSE_CODE: Readonly<Record<ErrorKind, number>> = {
  malformed: CLOSE.notFound,
  invalid_state: CLOSE.notRunning,
  duplicate: CLOSE.internal,
  unauthenticated: CLOSE.unauthenticated,
  forbidden: CLOSE.forbidden,
  not_found: CLOSE.notFound,
  conflict: CLOSE.internal,
  too_large: CLOSE.tooLarge,
  invalid: CLOSE.notFound,
  rate_limited: CLOSE.limited,
  unavailable: CLOSE.internal,
  internal: CLOSE.internal,
};

const CLOSING_MS = 5_000;
const MOST_AFTER_CLOSE_BYTES = 1_048_576;

/** Tells why, then closes; a socket that is closing already is left alone. */
export function closeWithError(
  socket: WebSocket,
  closeCode: number,
  code: string,
  message: string,
  extra: Readonly<Record<string, unknown>> = {},
): void {
  if (socket.readyState !== socket.OPEN) return;
  socket.send(JSON.stringify({ type: 'error', code, message, ...extra }));
  socket.close(closeCode, code);
  // Its own close has to be heard; but a client that goes on sending instead, or never closes, is not listened to for long.
  let patience = MOST_AFTER_CLOSE_BYTES;
  socket.on('message', (data: Buffer) => {
    patience -= data.length;
    if (patience < 0) socket.terminate();
  });
  setTimeout(() => socket.terminate(), CLOSING_MS).unref();
  socket.resume();
}
