import { freshTerminal, write } from '../testing/screen-state';
import fc from 'fast-check';
import { stateOf } from './emulator-state';
import { OutputModes } from './output-modes';

const modesOf = (...chunks: string[]): OutputModes => {
  const modes = new OutputModes();
  let rest = Buffer.alloc(0);
  for (const chunk of chunks) {
    const bytes = Buffer.concat([rest, Buffer.from(chunk)]);
    rest = bytes.subarray(modes.scan(bytes));
  }
  return modes;
};

it.each([
  [['plain text'], ''],
  [['\x1b[?1h\x1b=text\x1b[31m'], '\x1b[?1h\x1b='],
  [['\x1b[?1;2004h', '\x1b[?1l'], '\x1b[?2004h\x1b[?1l'],
  [['\x1b[?10', '49h\x1b', '[?25l'], '\x1b[?1049h\x1b[?25l'],
  [['\x1b[?1000h\x1b[?1003h\x1b[?1006h'], '\x1b[?1003h\x1b[?1006h'],
  [['\x1b[4;20h'], '\x1b[4h\x1b[20h'],
  [['\x1b[?1h\x1bc\x1b[?7l'], '\x1bc\x1b[?7l'],
  [['\x1b[?1h\x1b[?1049h\x1b[!p'], '\x1b[?1049h\x1b[!p'],
  [['\x1b]2;\x1b[?2004h'], '\x1b[?2004h'], // ESC ends whatever it comes in
  [['\x1b[?1048h\x1b[?3l'], ''],
])('of %j knows %j', (chunks, expected) => {
  expect(String(modesOf(...chunks))).toBe(expected);
});

const piece = fc.oneof(
  fc.constantFrom('text', '\x1b[31m', '\x1b=', '\x1b>', '\x1bc', '\x1b[!p', '\x1b]0;t\x07', '\x1b[4h', '\x1b[4l', '\x1b[2J'),
  fc
    .tuple(fc.constantFrom(1, 6, 7, 25, 45, 66, 1000, 1002, 1004, 1006, 2004, 1049, 47), fc.constantFrom('h', 'l'))
    .map(([mode, final]) => `\x1b[?${mode}${final}`),
);

it('knows the modes an emulator has, wherever the output is cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 9 }), async (pieces, length) => {
      const output = pieces.join('');
      const chunks = Array.from({ length: Math.ceil(output.length / length) }, (_, at) =>
        output.slice(at * length, (at + 1) * length),
      );
      const modes = modesOf(...chunks);
      const saw = freshTerminal(10, 3);
      const told = freshTerminal(10, 3);
      await write(saw, output);
      await write(told, String(modes));
      const { coreService, coreMouseService, buffers } = stateOf(saw);
      const other = stateOf(told);
      expect(other.coreService.decPrivateModes).toEqual(coreService.decPrivateModes);
      expect(other.coreService.modes).toEqual(coreService.modes);
      expect(other.coreMouseService.activeProtocol).toBe(coreMouseService.activeProtocol);
      expect(other.coreMouseService.activeEncoding).toBe(coreMouseService.activeEncoding);
      expect(other.buffers.active === other.buffers.alt).toBe(buffers.active === buffers.alt);
      expect(modes.bracketedPaste).toBe(coreService.decPrivateModes.bracketedPasteMode);
      expect(modes.keyboard).toMatchObject({
        applicationCursor: coreService.decPrivateModes.applicationCursorKeys,
        applicationKeypad: coreService.decPrivateModes.applicationKeypad,
      });
    }),
  );
});

it('skims what has no private mode, and leaves a sequence that has begun at its end', () => {
  const modes = new OutputModes();
  expect(modes.skim(Buffer.from('\x1b[31mred\x1b[0m\x1b['))).toBe(12);
  expect(modes.skim(Buffer.from('\x1b[?1h and more'))).toBe(14);
  expect(String(modes)).toBe('\x1b[?1h');
});

it('sees every private mode, among however many question marks', () => {
  const piece = fc.oneof(
    fc.constantFrom('?', '[?', '\x1b?', '\x1b[31m', 'a', '\x1b'),
    fc.nat(300).map((count) => '?'.repeat(count)),
  );
  fc.assert(
    fc.property(fc.array(piece), fc.array(piece), (before, behind) => {
      const [skimmed, scanned] = [new OutputModes(), new OutputModes()];
      const bytes = Buffer.from(`${before.join('')}\x1b[?1h${behind.join('')}`);
      expect(skimmed.skim(bytes)).toBe(scanned.scan(bytes));
      expect(String(skimmed)).toBe(String(scanned));
    }),
  );
});

it('forgets which modes there are beyond a bound', () => {
  const modes = modesOf(Array.from({ length: 1_000 }, (_, mode) => `\x1b[?${mode + 5_000}h`).join(''));
  expect(String(modes).length).toBeLessThan(1_500);
});
