import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type EngineSettings } from '../src';

/** An engine that answers what the test says, when it says so. */
export class StubEngine {
  private readonly server: Server;
  private readonly asked: { readonly path: string; readonly answer: ServerResponse }[] = [];
  private arrived: () => void = () => undefined;

  private constructor() {
    this.server = createServer(({ url = '' }, answer) => {
      this.asked.push({ path: url.split('?')[0] ?? '', answer });
      this.arrived();
    });
  }

  static async open(): Promise<StubEngine> {
    const stub = new StubEngine();
    await new Promise<void>((resolve) => stub.server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get settings(): EngineSettings {
    return { host: `tcp://127.0.0.1:${(this.server.address() as AddressInfo).port}`, tlsVerify: false, certPath: null };
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** The next call of that path, waited for, to be answered. */
  async next(path: string): Promise<ServerResponse> {
    for (;;) {
      const at = this.asked.findIndex((one) => one.path === path);
      const [found] = at < 0 ? [] : this.asked.splice(at, 1);
      if (found) return found.answer;
      await new Promise<void>((resolve) => (this.arrived = resolve));
    }
  }

  /** Answers the next call of that path. */
  async say(path: string, body: unknown, status = 200): Promise<void> {
    const answer = await this.next(path);
    answer.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  }
}
