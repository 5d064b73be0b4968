import { createServer, type IncomingMessage, request, type RequestOptions, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, type Socket } from 'node:net';
import { type EngineSettings } from '../src';
import { addressOf } from '../src/engine-address';

export interface EngineCall {
  readonly method: string;
  readonly url: string;
}

/** `lose_call`: it never arrives. `lose_answer`: it is done, and nobody hears of it. */
export type Fate = 'pass' | 'lose_call' | 'lose_answer';

/** Stands before the engine: counts calls, loses some, and can be gone. */
export class EngineProxy {
  readonly calls: EngineCall[] = [];
  fate: (call: EngineCall) => Fate = () => 'pass';
  private readonly sockets = new Set<Socket>();
  private server: Server | null = null;
  private port = 0;

  private constructor(private readonly target: RequestOptions) {}

  static async open(settings: EngineSettings): Promise<EngineProxy> {
    const address = addressOf(settings);
    const proxy = new EngineProxy(
      address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port },
    );
    await proxy.start();
    return proxy;
  }

  /** Of the way through it. */
  get settings(): EngineSettings {
    return { host: `tcp://127.0.0.1:${this.port}`, tlsVerify: false, certPath: null };
  }

  /** Listens, at the same address as before. */
  async start(): Promise<void> {
    const server = createServer((asked, answer) => this.pass(asked, answer));
    server.on('connection', (socket) => this.keep(socket));
    server.on('upgrade', (asked: IncomingMessage, socket: Socket, head: Buffer) => this.upgrade(asked, socket, head));
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
  }

  /** Gone: nobody listens, and every connection is cut. */
  async stop(): Promise<void> {
    const { server } = this;
    this.server = null;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    this.cut();
    await closed;
  }

  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined); // cut by either side
    socket.on('close', () => this.sockets.delete(socket));
  }

  private fateOf({ method = '', url = '' }: IncomingMessage): Fate {
    const call = { method, url };
    this.calls.push(call);
    return this.fate(call);
  }

  private pass(asked: IncomingMessage, answer: ServerResponse): void {
    const fate = this.fateOf(asked);
    if (fate === 'lose_call') {
      asked.socket.destroy();
      return;
    }
    const { method, url, headers } = asked;
    const passed = request({ ...this.target, method: method ?? 'GET', path: url ?? '/', headers }, (told) => {
      if (fate === 'lose_answer') {
        told.resume();
        told.once('end', () => asked.socket.destroy());
        return;
      }
      answer.writeHead(told.statusCode ?? 500, told.headers);
      answer.flushHeaders();
      told.pipe(answer);
      told.on('error', () => answer.destroy());
    });
    passed.on('error', () => asked.socket.destroy());
    answer.once('close', () => fate === 'pass' && passed.destroy());
    asked.pipe(passed);
  }

  private upgrade(asked: IncomingMessage, socket: Socket, head: Buffer): void {
    if (this.fateOf(asked) !== 'pass') {
      socket.destroy();
      return;
    }
    const { method, url, headers } = asked;
    const passed = request({ ...this.target, method: method ?? 'POST', path: url ?? '/', headers });
    passed.on('error', () => socket.destroy());
    passed.on('response', (told) => {
      socket.write(`HTTP/1.1 ${told.statusCode ?? 500} Refused\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n`);
      told.pipe(socket);
    });
    passed.on('upgrade', (told, engine: Socket, first: Buffer) => {
      this.keep(engine);
      const lines = Object.entries(told.headers).map(([name, value]) => `${name}: ${String(value)}`);
      socket.write(`HTTP/1.1 101 UPGRADED\r\n${lines.join('\r\n')}\r\n\r\n`);
      if (first.length > 0) socket.write(first);
      engine.pipe(socket);
      socket.pipe(engine);
      socket.on('close', () => engine.destroy());
      engine.on('close', () => socket.destroy());
    });
    if (head.length > 0) socket.unshift(head);
    asked.pipe(passed);
  }
}
