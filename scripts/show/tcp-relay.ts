import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Passes connections on to a server that listens on loopback only; can be gone for a while, or be there and pass nothing on. */
export class TcpRelay {
  private readonly sockets = new Set<Socket>();
  private frozen = false;
  private server: Server | null = null;
  private port = 0;

  /** @param host the address to listen on */
  constructor(
    private readonly host: string,
    private readonly target: { readonly host: string; readonly port: number },
  ) {}

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** Listens, each time at the same address. */
  start(): Promise<void> {
    const server = createServer((from) => {
      const to = connect(this.target);
      const hold = this.frozen;
      for (const [one, other] of [
        [from, to],
        [to, from],
      ] as const) {
        this.sockets.add(one);
        one.on('error', () => undefined); // a close follows
        one.on('close', () => {
          this.sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
        if (hold) one.pause();
      }
    });
    this.server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject).listen(this.port, this.host, () => {
        this.port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  /** From now on connections stay open, new ones are taken, and no byte arrives: as behind a network that swallows packets. */
  freeze(): void {
    this.frozen = true;
    for (const socket of this.sockets) socket.pause();
  }

  /** What was sent meanwhile arrives now. */
  thaw(): void {
    this.frozen = false;
    for (const socket of this.sockets) socket.resume();
  }

  async stop(): Promise<void> {
    const { server } = this;
    if (!server) return;
    this.server = null;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
