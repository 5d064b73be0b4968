import { type ClientOptions, WebSocket } from 'ws';

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
  const messages: Record<string, unknown>[] = [];
  socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString()) as Record<string, unknown>));
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
