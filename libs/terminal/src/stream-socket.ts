import { type DomainError } from '@devpocket/kernel';
import { bufferOf, isPingId, parseObject } from '@devpocket/terminal-session';
import { CLOSE_CODE, closeWithError, readControl, sendMessage } from '@devpocket/websocket';
import { type RawData, type WebSocket } from 'ws';

/** Bytes that a socket may hold before what it is told is read no further. */
const SOCKET_WINDOW_BYTES = 262_144;

/** Resolves at once while the socket keeps up, else when it took the message. */
export function send(socket: WebSocket, message: Readonly<Record<string, unknown>>): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState !== socket.OPEN) {
      resolve();
      return;
    }
    const slow = socket.bufferedAmount > SOCKET_WINDOW_BYTES;
    sendMessage(socket, message, () => resolve());
    if (!slow) resolve();
  });
}

/** What a client may say on a socket that is there to be read: one answer after the other, what is read next waits for it. */
export async function answer(
  socket: WebSocket,
  data: RawData,
  isBinary: boolean,
  renew: (token: string) => Promise<boolean>,
): Promise<void> {
  const tell = (message: Readonly<Record<string, unknown>>): void => sendMessage(socket, message);
  const fault = (code: string, message: string): void => tell({ type: 'error', code, message });
  const message = parseObject(readControl(socket, bufferOf(data), isBinary) ?? '');
  if (typeof message?.type !== 'string') fault('bad_message', 'A message is a JSON object with a type');
  else if (message.type === 'ping' && isPingId(message.id))
    tell({ type: 'pong', ...(message.id === undefined ? {} : { id: message.id }) });
  else if (message.type === 'ping') fault('bad_message', 'id must be a number or a short string');
  else if (message.type === 'auth' && typeof message.token === 'string') {
    const own = await renew(message.token).catch(() => null);
    if (own === null) fault('token_invalid', 'The token is not valid');
    else if (!own) fault('token_invalid', 'The token is another user’s');
  } else fault('unknown_type', 'This type of message is not known');
}

/** Tells why, naming the fields of the query that were wrong, and closes. */
export function closeWith(socket: WebSocket, { kind, code, message, errors, extra }: DomainError): void {
  closeWithError(socket, CLOSE_CODE[kind], code, message, { ...extra, ...(errors.length > 0 ? { errors } : {}) });
}
