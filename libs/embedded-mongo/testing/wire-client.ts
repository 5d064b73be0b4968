import { connect, type Socket } from 'node:net';
import { T, Value } from '../src/value';

/** Speaks OP_MSG to a MongoDB server with BSON as it stands, so that not a byte of an answer is lost. */
export class WireClient {
  private pending = Buffer.alloc(0);
  private readonly waiting: { resolve: (answer: Value) => void; reject: (error: Error) => void }[] = [];
  private lastId = 0;

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk) => this.receive(chunk as Buffer));
    const fail = (error?: Error): void => {
      for (const { reject } of this.waiting.splice(0)) reject(error ?? new Error('the server closed the connection'));
    };
    socket.on('error', fail);
    socket.on('close', () => fail());
  }

  /** @param url `mongodb://host:port/…` or `mongodb://%2Fpath%2Fto%2Fsocket/…` */
  static async connect(url: string): Promise<WireClient> {
    const host = /^mongodb:\/\/([^/?]+)/.exec(url)?.[1] ?? '';
    const [name = '', port] = host.split(':');
    const socket = port === undefined ? connect(decodeURIComponent(name)) : connect(Number(port), name);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.setNoDelay(true);
    return new WireClient(socket);
  }

  command(body: Value): Promise<Value> {
    const head = Buffer.alloc(21);
    head.writeInt32LE(head.length + body.length, 0);
    head.writeInt32LE(++this.lastId, 4);
    head.writeInt32LE(2013, 12);
    this.socket.write(Buffer.concat([head, body.bytes]));
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  private receive(chunk: Buffer): void {
    this.pending = Buffer.concat([this.pending, chunk]);
    while (this.pending.length >= 4 && this.pending.length >= this.pending.readInt32LE(0)) {
      const length = this.pending.readInt32LE(0);
      this.waiting.shift()?.resolve(new Value(T.OBJECT, Buffer.from(this.pending.subarray(21, length))));
      this.pending = this.pending.subarray(length);
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
