import { createServer, type Server, type Socket } from 'node:net';
import { type Engine } from './engine';
import { encodeReply, MessageReader, parseMessage } from './wire';

/** Beyond this an answer waits in memory for a client that does not read: nothing more is done for it. */
const MOST_UNSENT = 1 << 20;

/**
 * Serves an engine on a Unix socket. Commands are carried out as they come, one at a time for a client; answers to whatever came
 * since the last commit go out together behind the next one, so that clients that write at once share one fsync.
 */
export class SocketServer {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  /** Carried out, but not durable: what is to be sent then. */
  private waiting: { readonly socket: Socket; readonly acknowledge: () => void }[] = [];

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
    let waits = false;
    const send = (answer: Buffer | undefined): void => {
      if (answer && !socket.destroyed) socket.write(answer);
    };
    const proceed = (): void => {
      const busy = (): boolean => waits || socket.destroyed || socket.writableLength > MOST_UNSENT;
      try {
        while (!busy() && reader.ready) {
          const answer = this.carryOut(reader.take());
          if (!this.engine.catalog.dirty) send(answer);
          else {
            waits = true;
            const acknowledge = (): void => {
              waits = false;
              send(answer);
              proceed();
            };
            if (this.waiting.push({ socket, acknowledge }) === 1) setImmediate(() => this.flush());
          }
        }
        if (busy() && reader.ready) socket.pause();
        else socket.resume();
      } catch (error) {
        this.log(`a client was cut off: ${error instanceof Error ? error.message : String(error)}`);
        socket.destroy();
      }
    };
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('drain', proceed);
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk);
      proceed();
    });
  }

  /** @returns the answer; undefined: none is wanted */
  private carryOut(bytes: Buffer): Buffer | undefined {
    const message = parseMessage(bytes);
    try {
      const body = message.refusal ?? this.engine.answer(message.body, message.sequences);
      return message.moreToCome ? undefined : encodeReply(message, body);
    } catch (error) {
      this.abandon(error);
      throw error;
    }
  }

  /** Nothing since the last commit is kept, and nobody who waits for it is told that it was. */
  private abandon(error: unknown): void {
    this.log(`a command failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    this.engine.catalog.rollback();
    for (const { socket } of this.waiting) socket.destroy();
    this.waiting = [];
  }

  /** Behind the reads of one turn of the event loop: what they wrote becomes durable, then they are answered. */
  private flush(): void {
    try {
      this.engine.catalog.commit();
    } catch (error) {
      return this.abandon(error);
    }
    const durable = this.waiting;
    this.waiting = [];
    for (const { acknowledge } of durable) acknowledge();
  }

  /** Sends what is to be sent; who does not read it within a second is cut off. */
  async close(): Promise<void> {
    this.flush();
    for (const socket of this.sockets) socket.destroySoon();
    const patience = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy();
    }, 1000);
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
    clearTimeout(patience);
  }
}
