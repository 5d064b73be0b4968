import { createServer, type Server, type Socket } from 'node:net';
import { type Engine } from './engine';
import { type Value } from './value';
import { encodeReply, type Message, MessageReader, parseMessage, refusalOf } from './wire';

/** Beyond this an answer waits in memory for a client that does not read: nothing more is read from it. */
const MOST_UNSENT = 1 << 20;

/**
 * Serves an engine on a Unix socket. Commands are carried out as they come; answers to whatever came since the last commit go
 * out together behind the next one, so that clients that write at once share one fsync.
 */
export class SocketServer {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private unanswered: { socket: Socket; answer: Buffer | undefined }[] = [];
  private flushing = false;

  constructor(
    private readonly engine: Engine,
    private readonly log: (message: string) => void,
  ) {
    this.server = createServer((socket) => this.serve(socket));
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(path, resolve);
    });
  }

  private serve(socket: Socket): void {
    const reader = new MessageReader();
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('drain', () => socket.resume());
    socket.on('data', (chunk) => {
      try {
        for (const bytes of reader.push(chunk as Buffer)) this.take(socket, bytes);
      } catch (error) {
        this.log(`a client was cut off: ${error instanceof Error ? error.message : String(error)}`);
        socket.destroy();
      }
    });
  }

  private take(socket: Socket, bytes: Buffer): void {
    const message = parseMessage(bytes);
    const body = refusalOf(message) ?? this.carryOut(socket, message);
    if (!body) return;
    const answer = message.moreToCome ? undefined : encodeReply(message, body);
    if (!this.engine.catalog.dirty && this.unanswered.length === 0) return send(socket, answer);
    this.unanswered.push({ socket, answer });
    if (this.flushing) return;
    this.flushing = true;
    setImmediate(() => this.flush());
  }

  private carryOut(socket: Socket, message: Message): Value | undefined {
    try {
      return this.engine.answer(message.body, message.sequences);
    } catch (error) {
      this.abandon(error);
      socket.destroy();
      return undefined;
    }
  }

  /** Nothing since the last commit is kept, and nobody who waits for it is told that it was. */
  private abandon(error: unknown): void {
    this.log(`a command failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    this.engine.catalog.rollback();
    for (const { socket } of this.unanswered) socket.destroy();
    this.unanswered = [];
  }

  /** Behind the reads of one turn of the event loop: what they wrote becomes durable, then they are answered. */
  private flush(): void {
    this.flushing = false;
    try {
      this.engine.catalog.commit();
    } catch (error) {
      return this.abandon(error);
    }
    const answers = this.unanswered;
    this.unanswered = [];
    for (const { socket, answer } of answers) send(socket, answer);
  }

  async close(): Promise<void> {
    this.flush();
    for (const socket of this.sockets) socket.destroySoon();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

function send(socket: Socket, answer: Buffer | undefined): void {
  if (!answer || socket.destroyed) return;
  socket.write(answer);
  if (socket.writableLength > MOST_UNSENT) socket.pause();
}
