import { SystemClock } from '@devpocket/kernel';
import { type ServerResponse } from 'node:http';
import { StubEngine } from '../testing';
import { Engine } from './engine';
import { EngineEvents } from './engine-events';
import { EngineSession } from './engine-session';

describe('events of an engine', () => {
  let stub: StubEngine;
  let events: EngineEvents;
  let told: string[];
  let session: EngineSession;
  beforeEach(async () => {
    stub = await StubEngine.open();
    session = new EngineSession(await Engine.open(stub.settings), 'test', new SystemClock());
    told = [];
    session.subscribe((environmentId) => told.push(environmentId));
    events = new EngineEvents(session, new SystemClock());
    events.start();
  });
  afterEach(async () => {
    await events.stop();
    await stub.close();
  });

  async function beginEvents(): Promise<ServerResponse> {
    const answer = await stub.next('/events');
    answer.writeHead(200).flushHeaders();
    return answer;
  }
  const labels = (id: string, install = 'test') => ({ 'devpocket.io/env': id, 'devpocket.io/install': install });
  const event = (id: string, install?: string): string =>
    `${JSON.stringify({ Action: 'die', Actor: { Attributes: labels(id, install) } })}\n`;

  it('are told, also those that came while it was asked what there is', async () => {
    const stream = await beginEvents();
    const list = await stub.next('/containers/json');
    stream.write(event('early'));
    list.end(JSON.stringify([{ Id: '1', Names: [], State: 'running', Labels: labels('present') }]));
    await stub.say('/networks', []);
    stream.write(event('foreign', 'other'));
    stream.write(event('late').slice(0, 20));
    stream.end(event('late').slice(20));
    await beginEvents();
    expect(told).toEqual(['present', 'early', 'late']);
  });

  it('are no longer waited for when it stops while it asks what there is', async () => {
    await beginEvents();
    const list = await stub.next('/containers/json');
    const stopped = events.stop();
    list.end('[]');
    await stopped;
  });

  it('are asked for again when they break off while it asks what there is', async () => {
    const stream = await beginEvents();
    const list = await stub.next('/containers/json');
    stream.destroy();
    // What is asked after the break is answered after it was noticed.
    const ping = session.engine.get('/_ping');
    (await stub.next('/_ping')).end('OK');
    await ping;
    list.end('[]');
    await stub.say('/networks', []);
    await beginEvents();
  });
});
