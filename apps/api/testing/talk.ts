import { type Socket } from '@devpocket/client';
import { type ClientOptions, WebSocket } from 'ws';
import { MessageCheck } from './message-check';
import { complain, record } from './witness';

/** A socket and what came over it. */
export interface Talk {
  readonly socket: WebSocket;
  readonly messages: Record<string, unknown>[];
  /** The close code, or the HTTP status of a refused handshake. */
  readonly over: Promise<number>;
}

/** @param url of the server, as `http://…` */
export function talk(url: string, path: string, protocols: string[] = [], options: ClientOptions = {}): Talk {
  const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, protocols, options);
  witnessed(socket, path);
  const messages: Record<string, unknown>[] = [];
  socket.on('message', (data: Buffer, isBinary: boolean) => messages.push(isBinary ? readBinary(data) : readText(data)));
  socket.on('error', () => undefined);
  const over = new Promise<number>((resolve) => {
    socket.on('close', resolve);
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve(response.statusCode ?? 0);
    });
  });
  return { socket, messages, over };
}

const readText = (data: Buffer): Record<string, unknown> => JSON.parse(data.toString()) as Record<string, unknown>;

/** A frame of the binary subprotocol: control JSON, or output, whose `data` are its bytes. */
function readBinary(frame: Buffer): Record<string, unknown> {
  return frame[0] === 2
    ? readText(frame.subarray(1))
    : { type: 'output', seq: frame.readUIntBE(1, 6), data: Buffer.from(frame.subarray(7)) };
}

/** Every message of a socket is judged by the AsyncAPI document. */
export function witnessed(socket: WebSocket, path: string): void {
  const check = MessageCheck.of(path, complain, record);
  if (!check) return;
  socket.on('message', (data: Buffer | ArrayBuffer, isBinary: boolean) => check.received(data, isBinary));
  const send = socket.send.bind(socket) as (data: unknown, ...rest: unknown[]) => void;
  Object.assign(socket, {
    send: (data: unknown, ...rest: unknown[]) => {
      check.sent(data);
      send(data, ...rest);
    },
  });
}

/** A terminal client's socket whose messages are judged. */
export function witnessedSocket(url: string, protocols: string[]): Socket {
  const socket = new WebSocket(url, protocols);
  witnessed(socket, new URL(url).pathname + new URL(url).search);
  return socket as unknown as Socket;
}
