import { SystemClock } from '@devpocket/kernel';
import { StubEngine } from '../testing';
import { Engine } from './engine';
import { type Container, type ContainerState } from './engine-objects';
import { EngineSession } from './engine-session';

const GONE = { cause: 'no such container', message: 'container 56 does not exist in database: no such container', response: 500 };

describe('an engine as a process sees it', () => {
  let stub: StubEngine;
  let session: EngineSession;
  beforeEach(async () => {
    stub = await StubEngine.open();
    session = new EngineSession(await Engine.open(stub.settings), 'test', new SystemClock());
  });
  afterEach(() => stub.close());

  it('is asked again for a list of which one goes meanwhile, which Podman has no answer for', async () => {
    const containers = session.containers();
    await stub.say('/containers/json', GONE, 500);
    await stub.say('/containers/json', []);
    expect(await containers).toEqual([]);
  });

  describe('that has lost a container of which it then cannot list any (Podman)', () => {
    const lost = '5'.repeat(64);
    const message = `updating container ${lost} state: joining network namespace of container ${lost}: unknown FS magic on "/run/netns/a"`;
    const inspected = (install: string) => ({
      Id: lost,
      Config: { Labels: { 'devpocket.io/env': 'a', 'devpocket.io/install': install } },
    });
    const fail = async (times: number): Promise<void> => {
      for (let left = times; left > 0; left -= 1) await stub.say('/containers/json', { message }, 500);
    };

    it('is given time, and then rid of it where it is ours', async () => {
      const containers = session.containers();
      await fail(10);
      await stub.say(`/containers/${lost}/json`, inspected('test'));
      await stub.say(`/containers/${lost}`, null, 204);
      await stub.say('/containers/json', []);
      expect(await containers).toEqual([]);
    });

    it('is left alone when it finds it again', async () => {
      const containers = session.containers();
      await fail(9);
      await stub.say('/containers/json', []);
      expect(await containers).toEqual([]);
    });

    it('says what to do where it is not ours', async () => {
      const refused = expect(session.containers()).rejects.toMatchObject({
        message: expect.stringContaining('podman rm -f 555') as string,
      });
      await fail(10);
      await stub.say(`/containers/${lost}/json`, inspected('other'));
      await refused;
    });
  });

  it('says what is wrong with every list', async () => {
    const containers = session.containers();
    const refused = expect(containers).rejects.toMatchObject({ status: 500, message: 'the database is locked' });
    await stub.say('/containers/json', { message: 'the database is locked' }, 500);
    await refused;
  });

  it('leaves alone what is of another environment or installation, which Podman lists, too', async () => {
    const labels = (env: string, install: string) => ({ 'devpocket.io/env': env, 'devpocket.io/install': install });
    const one = (Id: string, env: string, install = 'test') => ({ Id, Created: Id, Names: [], Labels: labels(env, install) });
    const listed = [one('2', 'a'), one('1', 'a'), one('3', 'b'), one('4', 'a', 'other'), { ...one('5', 'a'), Labels: null }];
    const found = Promise.all([session.containers({ environmentId: 'a' }), session.networksOf('a'), session.containers()]);
    await stub.say('/containers/json', listed);
    await stub.say('/networks', listed);
    await stub.say('/containers/json', listed);
    expect((await found).map((some) => some.map(({ Id }) => Id))).toEqual([
      ['2', '1'],
      ['1', '2'],
      ['2', '1', '3'],
    ]);
  });

  it('takes what went while it was asked to remove it for removed', async () => {
    const removed = session.engine.delete('/containers/56');
    await stub.say('/containers/56', GONE, 500);
    await removed;
  });

  it('waits for a removal that somebody else began, whose end may come before it asks', async () => {
    const progress = { message: 'removal of container 56 is already in progress' };
    const removed = Promise.all([session.engine.remove('56'), session.engine.remove('57')]);
    await stub.say('/containers/56', progress, 409);
    await stub.say('/containers/56/wait', { StatusCode: 137 });
    await stub.say('/containers/57', progress, 409);
    await stub.say('/containers/57/wait', { message: 'No such container: 57' }, 404);
    await removed;
    const refused = expect(session.engine.remove('58')).rejects.toMatchObject({ status: 409 });
    await stub.say('/containers/58', { message: 'it is of a pod' }, 409);
    await refused;
  });

  it.each([
    ['Docker, which tells', 'Engine', '/env-1-1', { OOMKilled: true }, true],
    ['Docker, which would have told', 'Engine', '/env-1-1', {}, false],
    ['Podman, which does not tell', 'Podman Engine', '/env-1-1', {}, true],
    ['Podman, of one that was told to end', 'Podman Engine', '/env-1-1-ended', {}, false],
    ['Podman, of another end', 'Podman Engine', '/env-1-1', { ExitCode: 1 }, false],
  ])('knows of memory from %s', async (_who, component, Name, more: Partial<ContainerState>, expected) => {
    const identity = session.identity();
    await stub.say('/version', { Version: '1', ApiVersion: '1.41', Components: [{ Name: component, Version: '1' }] });
    await identity;
    const State = { ExitCode: 137, OOMKilled: false, ...more } as ContainerState;
    expect(session.isOutOfMemory({ Id: '1', Name, State } as Container)).toBe(expected);
  });
});
