import { SystemClock } from '@devpocket/kernel';
import { StubEngine } from '../testing';
import { Engine } from './engine';
import { type ContainerSummary } from './engine-objects';
import { EngineSession } from './engine-session';
import { removeIdleNetworks } from './idle-networks';

const labels = (env: string, install = 'test') => ({ 'devpocket.io/env': env, 'devpocket.io/install': install });
const network = (Id: string, env: string, minutes: number, install = 'test') => ({
  Id,
  Name: `env-${env}`,
  Created: new Date(Date.now() - minutes * 60_000).toISOString(),
  Labels: labels(env, install),
});

it('networks go that nothing runs in, unless they are new or of a start that is under way', async () => {
  const stub = await StubEngine.open();
  try {
    const session = new EngineSession(await Engine.open(stub.settings), 'test', new SystemClock());
    session.startOf = (id) => (id === 'starting' ? { incarnation: 1, phase: 'pulling_image', progress: 5, failure: null } : null);
    const containers: readonly ContainerSummary[] = [
      { Id: '1', Names: [], State: 'running', Labels: labels('runs') },
      { Id: '2', Names: [], State: 'exited', Labels: labels('stopped') },
    ];
    const done = removeIdleNetworks(session, containers, new AbortController().signal);
    await stub.say('/networks', [
      network('a', 'runs', 60),
      network('b', 'stopped', 60),
      network('c', 'new', 5),
      network('d', 'starting', 60),
      network('e', 'foreign', 60, 'other'),
      network('f', 'left', 60),
      { ...network('g', 'undated', 60), Created: '' },
    ]);
    // That one is in use does not keep the next.
    await stub.say('/networks/b', { message: 'has active endpoints' }, 403);
    await stub.say('/networks/f', null, 204);
    await done;
  } finally {
    await stub.close();
  }
});
