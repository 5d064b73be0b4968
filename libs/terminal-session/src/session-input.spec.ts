import { RuntimeError, type InputMark, type TerminalChannel } from '@devpocket/runtime';
import { ManualClock } from '@testing/kernel';
import { FakeTerminal } from '@testing/runtime';
import fc from 'fast-check';
import { type KeyPress } from './key-encoder';
import { OutputModes } from './output-modes';
import { SessionInput } from './session-input';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const SIZED = { sessionId: 's', cols: 80, rows: 24 };
const PHONE = { clientId: 'a', view: false };
const VIEWER = { clientId: 'v', view: true };
const press = (key: string, ctrl = false): KeyPress => ({ key, ctrl, alt: false, shift: false, meta: false, keypad: false });

/** A shell that takes what is typed when it is told to. */
function world() {
  let typed = '';
  const marks: (InputMark | undefined)[] = [];
  const waiting: (() => void)[] = [];
  const modes = new OutputModes();
  const shell = { reads: true, alive: true, touched: 0 };
  const channel: TerminalChannel = {
    ...new FakeTerminal(SIZED, new ManualClock().now(), new Map()).channel(),
    write: async (bytes, mark) => {
      if (!shell.alive) throw new RuntimeError('gone', 'The shell has ended');
      typed += bytes.toString();
      marks.push(mark);
      if (!shell.reads) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
  const input = new SessionInput(
    channel,
    () => modes,
    () => (shell.touched += 1),
  );
  return {
    input,
    shell,
    marks,
    typed: () => typed,
    asks: (output: string) => modes.scan(Buffer.from(output)),
    take: async () => {
      waiting.shift()?.();
      await settle();
    },
  };
}

describe('a key', () => {
  it('is sent as the modes of the moment have it', async () => {
    const { input, typed, asks } = world();
    await input.key(PHONE, press('ArrowUp'), null);
    asks('\x1b[?1h');
    await input.key(PHONE, press('ArrowUp'), null);
    expect(typed()).toBe('\x1b[A\x1bOA');
  });

  it('counts as one byte, is typed once, and as a whole', async () => {
    const { input, typed, marks } = world();
    expect(await input.input(PHONE, Buffer.from('ls'), 2)).toBeNull();
    expect(await input.key(PHONE, press('PageDown'), 3)).toBeNull();
    expect(await input.key(PHONE, press('PageDown'), 3)).toBeNull();
    expect(await input.key(PHONE, press('c', true), 4)).toBeNull();
    expect(await input.key(PHONE, press('c', true), 6)).toMatchObject({ code: 'input_gap', expected: 4 });
    expect(typed()).toBe('ls\x1b[6~\x03');
    expect(marks[1]).toEqual({ clientId: 'a', seq: 3, span: 1 });
    expect(input.taken('a')).toBe(4);
  });

  it('that sends nothing is refused and counts nothing', async () => {
    const { input, shell } = world();
    expect(await input.key(PHONE, press('Dead'), 1)).toMatchObject({ code: 'bad_key' });
    expect(await input.key(VIEWER, press('a'), null)).toMatchObject({ code: 'read_only' });
    expect(input.taken('a')).toBe(0);
    expect(shell.touched).toBe(0);
  });
});

describe('a paste', () => {
  it('is bracketed exactly when the program asked for it', async () => {
    const { input, typed, asks } = world();
    expect(await input.paste(PHONE, 'one', 'a\nb')).toEqual({ bytes: 3, cancelled: false });
    asks('\x1b[?2004h');
    await input.paste(PHONE, 'two', 'c\x1b[201~d');
    asks('\x1b[?2004l');
    await input.paste(PHONE, 'three', 'e');
    expect(typed()).toBe('a\rb\x1b[200~cd\x1b[201~e');
  });

  it('with an id that was there before is not pasted again', async () => {
    const { input, typed } = world();
    await input.paste(PHONE, 1, 'once');
    expect(await input.paste({ clientId: 'other', view: false }, 1, 'twice')).toEqual({ bytes: 4, cancelled: false });
    await input.paste(PHONE, '1', ', and another');
    expect(typed()).toBe('once, and another');
  });

  it('that is under way answers its second sending with its own end', async () => {
    const { input, shell, typed, take } = world();
    shell.reads = false;
    const both = Promise.all([input.paste(PHONE, 'x', 'text'), input.paste(PHONE, 'x', 'text')]);
    await settle();
    await take();
    expect(await both).toEqual([
      { bytes: 4, cancelled: false },
      { bytes: 4, cancelled: false },
    ]);
    expect(typed()).toBe('text');
  });

  it('stops when it is cancelled, and closes its bracket', async () => {
    const { input, shell, typed, asks, take } = world();
    asks('\x1b[?2004h');
    shell.reads = false;
    const pasted = input.paste(PHONE, 'x', 'y'.repeat(100_000));
    const behind = input.input(PHONE, Buffer.from('behind'), null);
    await settle();
    expect(input.cancel(VIEWER, 'x')).toMatchObject({ code: 'read_only' });
    expect(input.cancel(PHONE, 'x')).toBeNull();
    expect(input.cancel(PHONE, 'nothing')).toBeNull();
    for (let turn = 0; turn < 3; turn += 1) await take();
    expect(await pasted).toEqual({ bytes: 16_384, cancelled: true });
    expect(await behind).toBeNull();
    expect(typed()).toBe(`\x1b[200~${'y'.repeat(16_384)}\x1b[201~behind`);
  });

  it('that is cancelled before its turn leaves nothing behind', async () => {
    const { input, shell, typed, asks, take } = world();
    asks('\x1b[?2004h');
    shell.reads = false;
    void input.paste(PHONE, 1, 'first');
    const second = input.paste(PHONE, 2, 'second');
    input.cancel(PHONE, 2);
    for (let turn = 0; turn < 4; turn += 1) {
      await settle();
      await take();
    }
    expect(await second).toEqual({ bytes: 0, cancelled: true });
    expect(typed()).toBe('\x1b[200~first\x1b[201~');
  });

  it('goes on in the next server where this one was interrupted, and never begins again', async () => {
    const writes = fc.array(fc.nat({ max: 4 }), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 40_000 }), fc.boolean(), writes, async (length, asked, lives) => {
        const text = 'x'.repeat(length);
        const modes = new OutputModes();
        if (asked) modes.scan(Buffer.from('\x1b[?2004h'));
        const taken = new Map<string, number>();
        let typed = '';
        for (const life of [...lives, Infinity]) {
          let left = life;
          const write: TerminalChannel['write'] = (bytes, mark) => {
            left -= 1;
            if (left < 0) return new Promise(() => undefined);
            typed += bytes.toString();
            if (mark) taken.set(mark.clientId, mark.seq);
            return Promise.resolve();
          };
          const channel = {
            ...new FakeTerminal(SIZED, new ManualClock().now(), new Map()).channel(),
            inputMarks: new Map(taken),
            write,
          };
          const input = new SessionInput(
            channel,
            () => modes,
            () => undefined,
          );
          const pasted = input.paste(PHONE, 'same', text);
          if (life === Infinity) expect(await pasted).toEqual({ bytes: length, cancelled: false });
          else await settle();
        }
        expect(typed).toBe(asked && length > 0 ? `\x1b[200~${text}\x1b[201~` : text);
      }),
    );
  });

  it('is refused to who only views and when the shell has ended', async () => {
    const { input, shell } = world();
    expect(await input.paste(VIEWER, 1, 'x')).toMatchObject({ code: 'read_only' });
    shell.alive = false;
    expect(await input.paste(PHONE, 1, 'x')).toMatchObject({ code: 'input_lost' });
    expect(await input.key(PHONE, press('a'), null)).toMatchObject({ code: 'input_lost' });
  });

  it('is forgotten behind many others', async () => {
    const { input, typed } = world();
    for (let id = 0; id <= 1_024; id += 1) await input.paste(PHONE, id, '.');
    await input.paste(PHONE, 1_024, 'again');
    await input.paste(PHONE, 0, 'forgotten');
    expect(typed()).toBe(`${'.'.repeat(1_025)}forgotten`);
  });
});

it('types everything in the order in which it came', async () => {
  const act = fc.constantFrom('input', 'key', 'paste', 'take', 'settle');
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
      const { input, shell, typed, take } = world();
      shell.reads = false;
      let expected = '';
      const done: Promise<unknown>[] = [];
      for (const [at, one] of acts.entries()) {
        const text = String.fromCharCode(0x4e00 + at);
        if (one === 'take') await take();
        else if (one === 'settle') await settle();
        else {
          expected += text;
          if (one === 'input') done.push(input.input(PHONE, Buffer.from(text), null));
          else if (one === 'key') done.push(input.key(PHONE, press(text), null));
          else done.push(input.paste(PHONE, at, text));
        }
      }
      for (let turn = 0; turn < 2 * acts.length; turn += 1) {
        await settle();
        await take();
      }
      await Promise.all(done);
      expect(typed()).toBe(expected);
    }),
  );
});
