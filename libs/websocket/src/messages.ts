import { type DomainError, type ErrorKind } from '@devpocket/kernel';
import { type WebSocket } from 'ws';

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

/** Subprotocols, the names by which they are offered (contract §6). None at all means JSON. */
export const SUBPROTOCOL = { json: 'devpocket.v1.json', binary: 'devpocket.v1.binary' } as const;
/** The byte that comes before control JSON in a binary frame. */
const CONTROL = 2;

/** Sends a message that is not output, as the socket's subprotocol has it. @param sent called when it has left this process */
export function sendMessage(socket: WebSocket, message: Readonly<Record<string, unknown>>, sent?: (error?: Error) => void): void {
  const text = JSON.stringify(message);
  // Small frames are not worth a compressor's memory.
  const options = { compress: text.length >= COMPRESS_BYTES };
  if (socket.protocol !== SUBPROTOCOL.binary) {
    socket.send(text, options, sent);
    return;
  }
  const frame = Buffer.allocUnsafe(1 + Buffer.byteLength(text));
  frame[0] = CONTROL;
  frame.write(text, 1);
  socket.send(frame, options, sent);
}

/** The text of a control message, as the socket's subprotocol has it. Null for a binary frame of another kind. */
export function readControl(socket: WebSocket, frame: Buffer, isBinary: boolean): string | null {
  if (socket.protocol !== SUBPROTOCOL.binary || !isBinary) return frame.toString('utf8');
  return frame[0] === CONTROL ? frame.toString('utf8', 1) : null;
}

/** Frames below it are sent as they are, also where the client asked for compression. */
export const COMPRESS_BYTES = 1_024;

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
  sendMessage(socket, { type: 'error', code, message, ...extra });
  socket.close(closeCode, code);
  endListening(socket);
}

/** Tells a client what went wrong, and closes. */
export function refuse(socket: WebSocket, { kind, code, message, extra, retryAfter }: DomainError): void {
  const wait = retryAfter === null ? {} : { retry_after_ms: retryAfter * 1000 };
  closeWithError(socket, CLOSE_CODE[kind], code, message, { ...extra, ...wait });
}

/** For a socket that was closed from here: what its client still says is not heard for long. */
export function endListening(socket: WebSocket): void {
  // Its own close has to be heard; but a client that goes on sending instead, or never closes, is not listened to for long.
  let patience = MOST_AFTER_CLOSE_BYTES;
  socket.on('message', (data: Buffer) => {
    patience -= data.length;
    if (patience < 0) socket.terminate();
  });
  setTimeout(() => socket.terminate(), CLOSING_MS).unref();
  socket.resume();
}

/** When a client is to come back, each in its own moment (contract §6). */
export function comeBack(): { readonly retry_after_ms: number } {
  return { retry_after_ms: 200 + Math.floor(Math.random() * 2801) };
}
