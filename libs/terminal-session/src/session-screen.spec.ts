import { RingBuffer } from '@devpocket/kernel';
import { ManualClock } from '@testing/kernel';
import fc from 'fast-check';
import { InlineScreens } from '../testing/inline-screens';
import { freshTerminal, screenState, write } from '../testing/screen-state';
import { ScreenShelf } from './screen-shelf';
import { SessionScreen } from './session-screen';

const RING = 16_384;

function world(start = 0) {
  const clock = new ManualClock();
  const ring = new RingBuffer(RING, start);
  const keeper = new InlineScreens(clock);
  const screen = new SessionScreen('s', ring, { cols: 40, rows: 6 }, keeper, clock);
  const saw = freshTerminal(40, 6);
  const print = async (output: string | Buffer): Promise<void> => {
    const bytes = Buffer.from(output);
    screen.makeRoom(bytes.length);
    ring.append(bytes);
    await write(saw, bytes);
  };
  const resize = (cols: number, rows: number): void => {
    screen.resized({ cols, rows });
    saw.resize(cols, rows);
  };
  const expectTrue = async (): Promise<void> => {
    const { data, cols, rows, seq } = await screen.paint('ansi');
    const painted = freshTerminal(cols, rows);
    await write(painted, data);
    await write(painted, ring.slice(seq, RING));
    expect(screenState(painted)).toEqual(screenState(saw));
  };
  return { clock, ring, keeper, screen, print, resize, expectTrue };
}

const lines = (count: number): string => Array.from({ length: count }, (_, at) => `line ${at}\r\n`).join('');

it('makes nothing of output until somebody asks', async () => {
  const { keeper, print, expectTrue } = world();
  await print(lines(100));
  expect(keeper.followed).toBe(0);
  await expectTrue();
  const before = keeper.followed;
  await print('more');
  expect(keeper.followed).toBe(before);
  await expectTrue();
  expect(keeper.followed).toBe(before + 4);
});

it('knows a program that paints now and then for longer than the buffer lasts', async () => {
  const { clock, keeper, print, expectTrue } = world();
  await print('\x1b[?1049h\x1b[?2004h\x1b[1;1Hthe title is painted once\x1b[2;1H\x1b[44mso is this\x1b[m');
  for (let turn = 0; turn < 400; turn += 1) {
    clock.push(1_000);
    await print(`\x1b[5;3H\x1b[1m${turn} of it \x1b[0m${'\b \b'.repeat(60)}`);
  }
  expect(keeper.followed).toBeGreaterThan(RING);
  await expectTrue();
});

it('only notes the modes of a flood', async () => {
  const { keeper, screen, print, expectTrue } = world();
  await print('\x1b[?1h\x1b=\x1b[?2004h\x1b[?25l');
  for (let turn = 0; turn < 50; turn += 1) await print(lines(200));
  expect(keeper.followed).toBe(0);
  expect(screen.current().bracketedPaste).toBe(true);
  expect(screen.current().keyboard.applicationCursor).toBe(true);
  await expectTrue();
  expect(keeper.followed).toBeLessThanOrEqual(RING);
});

it('goes on behind a flood at a line, not in the middle of a sequence', async () => {
  const { screen, print } = world();
  await print('\x1b[31m');
  for (let turn = 0; turn < 100; turn += 1) await print(`\x1b[38;5;${turn}m\x1b[48;5;17mcoloured\x1b[0m\r\n`.repeat(20 + turn));
  const { data } = await screen.paint('text');
  expect(
    data
      .trim()
      .split('\n')
      .every((line) => line === 'coloured'),
  ).toBe(true);
});

it('resizes where the program was told', async () => {
  const { print, resize, expectTrue } = world();
  await print('a line that is rather long and wraps \r\n');
  resize(20, 4);
  await print('\x1b[2J\x1b[Hnew size: and a line that wraps');
  await expectTrue();
  resize(60, 10);
  resize(50, 8);
  await print('\x1b[8;50H!');
  await expectTrue();
});

it('begins anew from what is kept when the thread has ended', async () => {
  const { keeper, print, expectTrue } = world();
  await print(`\x1b[?2004h${lines(50)}`);
  await expectTrue();
  keeper.die();
  await print('and on');
  await expectTrue();
});

it('lays away what nobody asks for and takes it out again', async () => {
  const { keeper, print, expectTrue } = world();
  await print(Buffer.concat([Buffer.from('\x1b[?1h\x1b[31mhello '), Buffer.from('漢').subarray(0, 2)]));
  await expectTrue();
  keeper.tidy();
  expect(keeper.counts).toEqual({ live: 0, shelved: 1 });
  await print(Buffer.concat([Buffer.from('漢').subarray(2), Buffer.from(' world')]));
  await expectTrue();
  expect(keeper.counts).toEqual({ live: 1, shelved: 0 });
});

it('takes over output whose beginning it never saw', async () => {
  const { ring, screen } = world(1_000);
  ring.append(Buffer.from('5;7m garbage\r\nclean line\x1b[3;3Hplace'));
  const { data, seq } = await screen.paint('text');
  expect(data).toBe('\nclean line\n  place\n\n\n');
  expect(seq).toBe(ring.end);
});

it('says that a character is not complete', async () => {
  const { print, ring, screen } = world();
  await print(Buffer.from('é漢').subarray(0, 4));
  expect((await screen.paint('ansi')).seq).toBe(ring.end - 2);
});

it('paints the truth, whenever somebody asks', async () => {
  const chunk = fc.oneof(
    fc.constantFrom(
      'text ',
      '漢字\r\n',
      '\x1b[31m',
      '\x1b[?1049h',
      '\x1b[?1049l',
      '\x1b[2;4r',
      '\x1b[H',
      '\x1b[?1h',
      '\x1b[2J',
      '😀',
    ),
    fc.constantFrom('ask', 'calm', 'shelve', 'narrow', 'wide'),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 25 }), async (chunks) => {
      const { clock, keeper, print, resize, expectTrue } = world();
      for (const one of chunks) {
        if (one === 'ask') await expectTrue();
        else if (one === 'calm') clock.push(10_000);
        else if (one === 'shelve') keeper.tidy();
        else if (one === 'narrow') resize(30, 6);
        else if (one === 'wide') resize(40, 6);
        else await print(one);
      }
      await expectTrue();
    }),
    { numRuns: 60 },
  );
});

it('keeps a bounded number of emulators', async () => {
  const clock = new ManualClock();
  const shelf = new ScreenShelf(() => clock.millis());
  for (let n = 0; n < 40; n += 1)
    await shelf.follow(`k${n}`, { cols: 80, rows: 24 }, [{ kind: 'output', bytes: Buffer.from(`screen ${n}`) }]);
  expect(shelf.counts).toEqual({ live: 32, shelved: 8 });
  expect((await shelf.paint('k0', 'text')).data).toMatch(/^screen 0\n/);
  for (let n = 0; n < 4; n += 1) await shelf.follow(`big${n}`, { cols: 1_000, rows: 1_000 }, []);
  expect(shelf.counts.live).toBe(1);
  shelf.forget('k0');
  await expect(shelf.paint('k0', 'text')).rejects.toThrow('no such screen');
});
