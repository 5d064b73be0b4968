import { Slots } from './slots';

interface Task {
  readonly finish: () => void;
  readonly fail: () => void;
}

describe('Slots', () => {
  const full = (): Error => new Error('full');

  function harness(limit: number, waiting: number) {
    const slots = new Slots(limit, waiting, full);
    const started: string[] = [];
    const tasks = new Map<string, Task>();
    const run = (name: string): Promise<string> =>
      slots.run(() => {
        started.push(name);
        return new Promise((resolve, reject) => {
          tasks.set(name, { finish: () => resolve(name), fail: () => reject(new Error(name)) });
        });
      });
    return { run, started, task: (name: string) => tasks.get(name) };
  }

  it('runs so many at once and the rest in order', async () => {
    const { run, started, task } = harness(2, 10);
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(run);
    expect(started).toEqual(['a', 'b']);
    task('b')?.finish();
    await expect(b).resolves.toBe('b');
    expect(started).toEqual(['a', 'b', 'c']);
    task('a')?.finish();
    await a;
    expect(started).toEqual(['a', 'b', 'c', 'd']);
    task('c')?.finish();
    task('d')?.finish();
    await Promise.all([c, d]);
  });

  it('turns away what does not fit into the queue', async () => {
    const { run, task } = harness(1, 1);
    const [a, b, c] = ['a', 'b', 'c'].map(run);
    await expect(c).rejects.toThrow('full');
    task('a')?.finish();
    await a;
    task('b')?.finish();
    await expect(b).resolves.toBe('b');
  });

  it('frees the place of a task that fails', async () => {
    const { run, started, task } = harness(1, 1);
    const [a, b] = ['a', 'b'].map(run);
    task('a')?.fail();
    await expect(a).rejects.toThrow('a');
    expect(started).toEqual(['a', 'b']);
    task('b')?.finish();
    await b;
    const c = run('c');
    expect(started).toEqual(['a', 'b', 'c']);
    task('c')?.finish();
    await c;
  });

  it('never runs more than its limit, however tasks come and go', async () => {
    const slots = new Slots(3, 1000, full);
    let running = 0;
    let most = 0;
    const task = async (turns: number): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      for (let n = 0; n < turns; n += 1) await Promise.resolve();
      running -= 1;
      if (turns === 2) throw new Error('two');
    };
    await Promise.allSettled(Array.from({ length: 200 }, (_, n) => slots.run(() => task(n % 7))));
    expect([running, most]).toEqual([0, 3]);
    await Promise.allSettled(Array.from({ length: 200 }, (_, n) => slots.run(() => task(n % 7))));
    expect([running, most]).toEqual([0, 3]);
  });
});
