import fc from 'fast-check';
import { freshTerminal, screenState, write } from '../testing/screen-state';
import { TerminalScreen } from './terminal-screen';

const COLS = 12;
const ROWS = 5;

const number = (most: number) => fc.integer({ min: 0, max: most }).map(String);
const params = (most: number) => fc.array(number(most), { maxLength: 2 }).map((all) => all.join(';'));

/** Output as programs write it: what a terminal of today does something with. */
const sequence = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('a', 'Z', 'hello ', 'wrapped around ', '漢', '字', '😀', 'é', 'e\u0301', ' ', 'q', '#'),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom('\r\n', '\n', '\r', '\b', '\t', '\x0e', '\x0f', '\x07', '\x1bD', '\x1bE', '\x1bM', '\x1bH'),
  },
  { weight: 3, arbitrary: fc.tuple(number(ROWS + 1), number(COLS + 1)).map(([row, column]) => `\x1b[${row};${column}H`) },
  { weight: 4, arbitrary: fc.tuple(params(4), fc.constantFrom(...'ABCDEFGIJKLMPSTXZ@`ade')).map(([p, f]) => `\x1b[${p}${f}`) },
  {
    weight: 4,
    arbitrary: fc.oneof(
      fc
        .constantFrom(0, 1, 2, 3, 4, 5, 7, 8, 9, 21, 22, 23, 24, 25, 27, 28, 29, 31, 42, 39, 49, 53, 55, 95, 106)
        .map((n) => `\x1b[${n}m`),
      fc.constantFrom('38;5;3', '48;5;200', '38;2;1;2;3', '48;2;9;8;7', '4:3', '58:5:9', '58:2::1:2:3').map((p) => `\x1b[${p}m`),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom(1, 6, 7, 9, 12, 25, 45, 47, 66, 1000, 1002, 1003, 1004, 1006, 1016, 1047, 1048, 1049, 2004, 2026),
        fc.constantFrom('h', 'l'),
      )
      .map(([mode, final]) => `\x1b[?${mode}${final}`),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '\x1b[4h',
      '\x1b[4l',
      '\x1b[20h',
      '\x1b[20l',
      '\x1b=',
      '\x1b>',
      '\x1b7',
      '\x1b8',
      '\x1b[s',
      '\x1b[u',
      '\x1b[!p',
      '\x1bc',
      '\x1b#8',
      '\x1b[3 q',
      '\x1b[1"q',
      '\x1b[0"q',
    ),
  },
  { weight: 2, arbitrary: fc.tuple(number(ROWS), number(ROWS)).map(([top, bottom]) => `\x1b[${top};${bottom}r`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('\x1b(0', '\x1b(B', '\x1b)0', '\x1b)A', '\x1b(A', '\x1bn', '\x1b*0', '\x1b[3g', '\x1b[g'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('\x1b]0;title\x07', '\x1b]2;é 漢\x1b\\', '\x1b]1;icon\x07', '\x1bP$qm\x1b\\'),
  },
);

const output = fc.array(sequence, { maxLength: 40 }).map((all) => Buffer.from(all.join('')));

/** A terminal that was painted, and one that saw everything. */
async function pair(
  before: Buffer,
): Promise<{ saw: ReturnType<typeof freshTerminal>; painted: ReturnType<typeof freshTerminal>; from: number }> {
  const saw = freshTerminal(COLS, ROWS);
  const painted = freshTerminal(COLS, ROWS);
  const screen = new TerminalScreen(COLS, ROWS);
  await screen.feed(before);
  const { data, uncovered } = screen.paint();
  await write(saw, before);
  await write(painted, 'junk\x1b[41m\x1b[?1049h\x1b[3;4r\x1b[?6h\x1b(0 more \x1b['); // what a client showed before
  await write(painted, data);
  return { saw, painted, from: before.length - uncovered };
}

it('paints what somebody who saw everything has, and both go on alike', async () => {
  await fc.assert(
    fc.asyncProperty(output, fc.double({ min: 0, max: 1, noNaN: true }), async (all, share) => {
      const cut = Math.round(all.length * share);
      const { saw, painted, from } = await pair(all.subarray(0, cut));
      expect(screenState(painted)).toEqual(screenState(saw));
      await write(saw, all.subarray(cut));
      await write(painted, all.subarray(from));
      expect(screenState(painted)).toEqual(screenState(saw));
    }),
    { numRuns: 200 },
  );
});

async function painted(output: string, cols = COLS, rows = ROWS): Promise<ReturnType<typeof freshTerminal>> {
  const screen = new TerminalScreen(cols, rows);
  await screen.feed(Buffer.from(output));
  const terminal = freshTerminal(cols, rows);
  await write(terminal, screen.paint().data);
  screen.dispose();
  return terminal;
}

async function saw(output: string, cols = COLS, rows = ROWS): Promise<ReturnType<typeof freshTerminal>> {
  const terminal = freshTerminal(cols, rows);
  await write(terminal, output);
  return terminal;
}

it.each([
  ['links', '\x1b]8;;http://a/\x1b\\one\x1b]8;;\x1b\\ \x1b]8;id=x;http://b/\x1b\\two\r\nthree\x1b]8;;\x1b\\'],
  ['a cursor beyond the last column', 'exactly 12 c'],
  ['a wide character at the edge', 'eleven chars漢字'],
  ['curly and coloured underlines', '\x1b[4:3;58:2::9:8:7mcurly\x1b[0m \x1b[4mplain'],
  ['both screens', 'shell$ vim\r\n\x1b[32m\x1b[?1049h\x1b[2;3r\x1b[5;1H~\x1b7\x1b[?1h\x1b='],
])('paints %s', async (_what, output) => {
  expect(screenState(await painted(output))).toEqual(screenState(await saw(output)));
});

it('goes on behind an alternate screen as if it had seen it begin', async () => {
  const [before, after] = ['$ \x1b[31mls\r\n$ less\x1b[?1049h\x1b[H\x1b[1mtext', '\x1b[?1049l behind'];
  const terminal = await painted(before, 30, 4);
  await write(terminal, after);
  expect(screenState(terminal)).toEqual(screenState(await saw(before + after, 30, 4)));
});

it('tells modes, keys and colours that the emulator itself does not keep', async () => {
  const screen = new TerminalScreen(COLS, ROWS);
  await screen.feed(
    Buffer.from('\x1b[?1007;1036h\x1b[?1036l\x1b[>4;2m\x1b]11;#123456\x07\x1b]4;1;red;2;?\x07\x1b]10;?\x07\x1b[?5h'),
  );
  const { data } = screen.paint();
  expect(data).toContain('\x1b[?1007h\x1b[?5h\x1b[>4;2m\x1b]11;#123456\x1b\\\x1b]4;1;red\x1b\\');
  expect(data).not.toContain('1036');
  await screen.feed(Buffer.from('\x1b[>4m\x1b]104\x07\x1b]111\x07\x1bc'));
  expect(screen.paint().data).not.toMatch(/1007|>4|#123456|red/);
});

it('hands over what has begun: a sequence goes into the painting, a character stays outside', async () => {
  const screen = new TerminalScreen(COLS, ROWS);
  await screen.feed(Buffer.from('a\x1b]2;tit'));
  await screen.feed(Buffer.from('le'));
  expect(screen.paint()).toMatchObject({ uncovered: 0, data: expect.stringMatching(/\]2;title$/) as string });
  await screen.feed(Buffer.concat([Buffer.from('\x07'), Buffer.from('漢').subarray(0, 2)]));
  expect(screen.paint().uncovered).toBe(2);
});

it('skips the rest of a picture whose beginning is too long to keep', async () => {
  const screen = new TerminalScreen(COLS, ROWS);
  await screen.feed(Buffer.from(`before\x1bPq${'#'.repeat(100_000)}`));
  const terminal = freshTerminal(COLS, ROWS);
  await write(terminal, screen.paint().data);
  await write(terminal, '###\x1b\\ after');
  expect(terminal.buffer.active.getLine(0)?.translateToString(true)).toBe('before after');
});

it('keeps the place of a character whose width terminals disagree on', async () => {
  const terminal = await painted('👩‍💻|🏳️‍🌈|x', 20, 2);
  expect(screenState(terminal)).toEqual(screenState(await saw('👩‍💻|🏳️‍🌈|x', 20, 2)));
});

it('says in plain text what is there', async () => {
  const screen = new TerminalScreen(10, 3);
  await screen.feed(Buffer.from('\x1b[1mone  \r\n  漢字 two\x1b[3;10H!'));
  expect(screen.text()).toBe('one\n  漢字 two\n         !');
});

it('takes the least size there is', async () => {
  const screen = new TerminalScreen(1, 1);
  await screen.feed(Buffer.from('漢\r\n\x1b[?1049hx'));
  screen.resize(3, 1);
  expect(screen.paint().data).toContain('x');
});
