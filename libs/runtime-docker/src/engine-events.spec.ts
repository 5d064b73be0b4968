import { SystemClock } from '@devpocket/kernel';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { Engine } from './engine';
import { EngineEvents } from './engine-events';
import { EngineSession } from './engine-session';

/** An engine that answers when the test says so. */
class SlowEngine {
  private readonly server: Server;
  private readonly asked: { readonly path: string; readonly answer: ServerResponse }[] = [];
  private arrived: () => void = () => undefined;

  constructor() {
    this.server = createServer((request: IncomingMessage, answer) => {
      this.asked.push({ path: (request.url ?? '').split('?')[0] ?? '', answer });
      this.arrived();
    });
  }

  async open(): Promise<EngineSession> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const { port } = this.server.address() as AddressInfo;
    const engine = await Engine.open({ host: `tcp://127.0.0.1:${port}`, tlsVerify: false, certPath: null });
    return new EngineSession(engine, 'test', new SystemClock());
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** The next call of that path, to be answered. */
  async next(path: string): Promise<ServerResponse> {
    for (;;) {
      const at = this.asked.findIndex((one) => one.path === path);
      const [found] = at < 0 ? [] : this.asked.splice(at, 1);
      if (found) return found.answer;
      await new Promise<void>((resolve) => (this.arrived = resolve));
    }
  }

  async beginEvents(): Promise<ServerResponse> {
    const answer = await this.next('/events');
    answer.writeHead(200).flushHeaders();
    return answer;
  }
}

describe('events of an engine', () => {
  let slow: SlowEngine;
  let events: EngineEvents;
  let told: string[];
  let session: EngineSession;
  beforeEach(async () => {
    slow = new SlowEngine();
    session = await slow.open();
    told = [];
    session.subscribe((environmentId) => told.push(environmentId));
    events = new EngineEvents(session, new SystemClock());
    events.start();
  });
  afterEach(async () => {
    await events.stop();
    await slow.close();
  });

  const event = (id: string): string =>
    `${JSON.stringify({ Action: 'die', Actor: { Attributes: { 'devpocket.io/env': id } } })}\n`;

  it('are told, also those that came while it was asked what there is', async () => {
    const stream = await slow.beginEvents();
    const list = await slow.next('/containers/json');
    stream.write(event('early'));
    list.end(JSON.stringify([{ Id: '1', Names: [], State: 'running', Labels: { 'devpocket.io/env': 'present' } }]));
    stream.write(event('late').slice(0, 20));
    stream.end(event('late').slice(20));
    await slow.beginEvents();
    expect(told).toEqual(['present', 'early', 'late']);
  });

  it('are no longer waited for when it stops while it asks what there is', async () => {
    await slow.beginEvents();
    const list = await slow.next('/containers/json');
    const stopped = events.stop();
    list.end('[]');
    await stopped;
  });

  it('are asked for again when they break off while it asks what there is', async () => {
    const stream = await slow.beginEvents();
    const list = await slow.next('/containers/json');
    stream.destroy();
    // What is asked after the break is answered after it was noticed.
    const ping = session.engine.get('/_ping');
    (await slow.next('/_ping')).end('OK');
    await ping;
    list.end('[]');
    await slow.beginEvents();
  });
});
