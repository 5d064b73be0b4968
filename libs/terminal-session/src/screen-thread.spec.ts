import { SystemClock } from '@devpocket/kernel';
import { ManualClock } from '@testing/kernel';
import { ScreenThread } from './screen-thread';

const SIZE = { cols: 20, rows: 2 };
const output = (text: string) => [{ kind: 'output' as const, bytes: Buffer.from(text) }];

describe('the thread of screens', () => {
  let screens: ScreenThread;
  beforeEach(() => (screens = new ScreenThread(new SystemClock())));
  afterEach(() => screens.stop());

  it('keeps screens by key, in the order of what it is told', async () => {
    screens.follow('one', SIZE, output('first'));
    screens.follow('two', SIZE, output('other'));
    screens.follow('one', SIZE, [...output(' and on'), { kind: 'size', cols: 30, rows: 1 }]);
    expect(await screens.paint('one', 'text')).toEqual({ cols: 30, rows: 1, data: 'first and on', uncovered: 0 });
    expect(await screens.paint('two', 'text')).toMatchObject({ data: 'other\n' });
    screens.forget('two');
    await expect(screens.paint('two', 'text')).rejects.toThrow('no such screen');
  });

  it('takes a large output over without changing what it was given', async () => {
    const bytes = Buffer.alloc(100_000, 'x');
    screens.follow('one', SIZE, [{ kind: 'output', bytes }]);
    expect((await screens.paint('one', 'text')).data).toBe(`${'x'.repeat(20)}\n${'x'.repeat(20)}`);
    const pooled = Buffer.from('small');
    screens.follow('one', SIZE, [{ kind: 'output', bytes: pooled }]);
    expect(pooled.toString()).toBe('small');
  });

  it('is busy while much waits', async () => {
    for (let turn = 0; turn < 9; turn += 1)
      screens.follow('one', SIZE, [{ kind: 'output', bytes: Buffer.alloc(1_048_576, 'line\r\n') }]);
    expect(screens.busy).toBe(true);
    await screens.paint('one', 'text');
    expect(screens.busy).toBe(false);
  });

  it('ends with its last screen, says that all is lost, and begins again', async () => {
    screens.follow('one', SIZE, output('first'));
    await screens.paint('one', 'text');
    const { generation } = screens;
    screens.forget('one');
    expect(screens.generation).toBe(generation + 1);
    screens.follow('one', SIZE, output('second'));
    expect((await screens.paint('one', 'text')).data).toBe('second\n');
  });

  it('does not leave who asks waiting when it stops', async () => {
    screens.follow('one', SIZE, output('first'));
    const asked = screens.paint('one', 'text');
    await Promise.all([screens.stop(), expect(asked).rejects.toThrow('stops')]);
  });
});

it('gives up on a screen that takes too long', async () => {
  const clock = new ManualClock();
  const screens = new ScreenThread(clock);
  const asked = expect(screens.paint('one', 'text')).rejects.toThrow('too long');
  clock.push(10_000);
  await asked;
  await screens.stop();
});
