import { type Sighting } from '@devpocket/runtime';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineProxy, type Fate, testEngine, TestEngine } from '../testing';
import { type DockerDriver } from './docker.driver';

const ID = '0123456789abcdef0000de00';
/** What changes something; the rest is looked at again anyway. */
const CHANGES = /^(POST|PUT|DELETE) (?!.*\/(wait|exec))/;

/**
 * A server that is killed in its work: from one call on nothing of it reaches the engine any more, or nobody hears the answer. The next
 * one has what the engine shows, and the wish.
 */
describe('a server that is killed at any call', () => {
  let engine: TestEngine;
  let proxy: EngineProxy;
  beforeEach(async () => {
    proxy = await EngineProxy.open(testEngine());
    engine = await TestEngine.open('kills', proxy.settings);
    await engine.clear();
  });
  afterEach(async () => {
    await engine.close();
    await proxy.stop();
  });

  const spec = (incarnation: number) =>
    engine.spec(ID, incarnation, { startupCommands: ['echo once >>ran'], environmentVariables: { A: 'b' } });

  /** As the reconciler decides. */
  async function settle(driver: DockerDriver, wanted: 'running' | 'stopped' | 'absent', incarnation: number): Promise<Sighting> {
    for (;;) {
      const sighting = await driver.look(engine.place(ID));
      if (sighting.seen === 'failed') throw new Error(sighting.message);
      const at = sighting.seen === 'absent' ? 0 : sighting.incarnation;
      if (sighting.seen === wanted && (wanted !== 'running' || at === incarnation)) return sighting;
      const alive = sighting.seen === 'running' || sighting.seen === 'starting';
      if (wanted === 'absent') await driver.destroy(engine.place(ID));
      else if (wanted === 'running' && !alive && sighting.seen !== 'stopping') await driver.start(spec(incarnation));
      else if (wanted === 'stopped' && alive)
        await driver.stop(engine.place(ID), { incarnation: at, graceMs: 1_000, kill: false });
      await delay(20);
    }
  }

  /** Works until the call of that number, and is dead from then on. @returns did it come so far? */
  async function killedAt(call: number, fate: Fate, work: (driver: DockerDriver) => Promise<unknown>): Promise<boolean> {
    let changes = 0;
    let dead = false;
    proxy.fate = ({ method, url }) => {
      if (dead) return 'lose_call';
      if (!CHANGES.test(`${method} ${url}`) || (changes += 1) < call) return 'pass';
      dead = true;
      return fate;
    };
    const driver = await engine.driver();
    const done = work(driver).then(
      () => 'done',
      () => 'failed',
    );
    while (!dead && (await Promise.race([done, delay(20)])) === undefined);
    await driver.close({ keepTerminals: true });
    await done;
    proxy.fate = () => 'pass';
    return dead;
  }

  it.each<[Fate]>([['lose_call'], ['lose_answer']])('leaves nothing undone or done twice (%s)', async (fate) => {
    for (let call = 1, further = true; further; call += 1) {
      further = await killedAt(call, fate, (driver) => settle(driver, 'running', 1));
      const next = await engine.driver();
      await settle(next, 'running', 1);
      expect((await engine.containers(ID)).map(({ Names, State }) => `${Names[0] ?? ''} ${State}`).sort()).toEqual([
        `/env-${ID}-1 running`,
        `/env-${ID}-startup exited`,
      ]);
      const channel = await next.openTerminal(engine.place(ID), { sessionId: 'one', cols: 80, rows: 24 });
      let heard = '';
      channel.attach((chunk) => (heard += chunk.toString('utf8')));
      await channel.write(Buffer.from('echo "=$(cat ran)=$A="\n'));
      while (!heard.includes('=once=b=\r\n')) {
        if (heard.includes('=b=\r\n')) throw new Error(heard);
        await delay(10);
      }
      await next.close({ keepTerminals: true });

      await killedAt((call % 3) + 1, fate, (driver) => settle(driver, 'stopped', 1));
      const third = await engine.driver();
      expect(await settle(third, 'stopped', 1)).toMatchObject({ incarnation: 1, reason: null });
      await third.close({ keepTerminals: true });

      await killedAt((call % 6) + 1, fate, (driver) => settle(driver, 'absent', 1));
      const last = await engine.driver();
      await settle(last, 'absent', 1);
      await last.close({ keepTerminals: true });
      expect(await engine.left()).toEqual([]);
    }
  });
});
