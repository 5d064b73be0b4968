import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Bytes that are let through before the first cut of a connection, so that each gets somewhere. */
const LEAST_BYTES = 1_000;

export interface BadNetworkOptions {
  /** On average half of so many bytes go through, of both directions, before a connection is cut. */
  readonly bytesBetweenCuts: number;
  readonly cuts: number;
  /** What it carries to the client in a millisecond; without it as much as there is. */
  readonly bytesPerMs?: number;
}

/** Cuts connections to a server on loopback after a random number of bytes in either direction, in the middle of anything. */
export class BadNetwork {
  cuts = 0;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly connections = new Set<() => void>();

  constructor(
    private readonly target: number,
    private readonly options: BadNetworkOptions,
  ) {
    this.server = createServer((client) => this.carry(client));
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Cuts each connection that there is with a probability. */
  cutSome(probability: number): void {
    for (const cut of this.connections) if (Math.random() < probability) cut();
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private carry(client: Socket): void {
    const { cuts, bytesBetweenCuts, bytesPerMs } = this.options;
    const upstream = connect(this.target, '127.0.0.1');
    let left = this.cuts < cuts ? LEAST_BYTES + Math.random() * bytesBetweenCuts : Infinity;
    const cut = (): void => {
      if (left !== -Infinity) this.cuts += 1;
      left = -Infinity;
      this.connections.delete(cut);
      // Half of them are resets, behind which what is under way is lost; the others come behind it.
      for (const socket of [client, upstream]) if (Math.random() < 0.5) socket.resetAndDestroy();
      client.destroy();
      upstream.destroy();
    };
    this.connections.add(cut);
    client.on('close', () => this.connections.delete(cut));
    const pass = (from: Socket, to: Socket, pace: number | undefined): void => {
      this.sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        const carried = chunk.subarray(0, Math.max(0, Math.floor(left)));
        left -= chunk.length;
        const more = to.write(carried);
        if (left <= 0) cut();
        else if (pace !== undefined) {
          from.pause();
          setTimeout(() => from.resume(), carried.length / pace);
        } else if (!more) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
      from
        .on('error', () => to.destroy())
        .on('close', () => {
          this.sockets.delete(from);
          to.destroy();
        });
    };
    pass(client, upstream, undefined);
    pass(upstream, client, bytesPerMs);
  }
}
