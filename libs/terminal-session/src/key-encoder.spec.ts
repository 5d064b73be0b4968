import fc from 'fast-check';
import { encodeKey, type KeyboardModes, type KeyPress } from './key-encoder';

const NORMAL: KeyboardModes = { applicationCursor: false, applicationKeypad: false, backspaceSendsBs: false, newline: false };
const APPLICATION: KeyboardModes = { ...NORMAL, applicationCursor: true, applicationKeypad: true };

/** `ctrl+shift+F5`, `keypad+7`; a plus itself comes last: `ctrl++`. */
function press(text: string): KeyPress {
  const parts = /^((?:(?:ctrl|alt|shift|meta|keypad)\+)*)(.+)$/su.exec(text);
  const held = new Set(parts?.[1]?.split('+') ?? []);
  const has = (name: string): boolean => held.has(name);
  return {
    key: parts?.[2] ?? text,
    ctrl: has('ctrl'),
    alt: has('alt'),
    shift: has('shift'),
    meta: has('meta'),
    keypad: has('keypad'),
  };
}

/** `^[` for ESC and so on, as `cat -v` shows it. */
function shown(keys: string | null): string | null {
  return keys?.replace(/\p{Cc}/gu, (c) => `^${String.fromCharCode(c.charCodeAt(0) ^ 0x40)}`) ?? null;
}

const table = (modes: KeyboardModes, rows: string): void => {
  const cases = rows
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/ +/) as [string, string]);
  it.each(cases)('%s is %s', (key, expected) => {
    expect(shown(encodeKey(press(key.replace('Space', ' ')), modes))).toBe(expected);
  });
};

// XTerm Control Sequences, "PC-Style Function Keys" and "VT220-Style Function Keys"; xterm-256color in terminfo says the same.
describe('in the normal modes', () => {
  table(
    NORMAL,
    `
    ArrowUp ^[[A
    ArrowDown ^[[B
    ArrowRight ^[[C
    ArrowLeft ^[[D
    Home ^[[H
    End ^[[F
    Clear ^[[E
    Insert ^[[2~
    Delete ^[[3~
    PageUp ^[[5~
    PageDown ^[[6~
    F1 ^[OP
    F2 ^[OQ
    F3 ^[OR
    F4 ^[OS
    F5 ^[[15~
    F6 ^[[17~
    F7 ^[[18~
    F8 ^[[19~
    F9 ^[[20~
    F10 ^[[21~
    F11 ^[[23~
    F12 ^[[24~
    F13 ^[[25~
    F14 ^[[26~
    F15 ^[[28~
    F16 ^[[29~
    F17 ^[[31~
    F18 ^[[32~
    F19 ^[[33~
    F20 ^[[34~
    ContextMenu ^[[29~
    Enter ^M
    Tab ^I
    shift+Tab ^[[Z
    Escape ^[
    Backspace ^?
    a a
    shift+A A
    é é
    漢 漢
    😀 😀
    👩‍💻 👩‍💻
    keypad+7 7
    keypad+Enter ^M
    `,
  );
});

describe('with modifiers', () => {
  table(
    NORMAL,
    `
    shift+ArrowUp ^[[1;2A
    alt+ArrowUp ^[[1;3A
    shift+alt+ArrowUp ^[[1;4A
    ctrl+ArrowUp ^[[1;5A
    ctrl+shift+ArrowLeft ^[[1;6D
    ctrl+alt+ArrowRight ^[[1;7C
    ctrl+alt+shift+End ^[[1;8F
    meta+Home ^[[1;9H
    ctrl+F1 ^[[1;5P
    shift+F4 ^[[1;2S
    ctrl+F5 ^[[15;5~
    alt+shift+F12 ^[[24;4~
    ctrl+Delete ^[[3;5~
    shift+Insert ^[[2;2~
    ctrl+PageUp ^[[5;5~
    ctrl+Backspace ^H
    alt+Backspace ^[^?
    ctrl+alt+Backspace ^[^H
    alt+Enter ^[^M
    alt+Escape ^[^[
    alt+x ^[x
    meta+x ^[x
    alt+é ^[é
    ctrl+a ^A
    ctrl+A ^A
    ctrl+shift+C ^C
    ctrl+z ^Z
    ctrl+[ ^[
    ctrl+\\ ^\\
    ctrl+] ^]
    ctrl+^ ^^
    ctrl+_ ^_
    ctrl+@ ^@
    ctrl+? ^?
    ctrl+/ ^_
    ctrl+Space ^@
    ctrl+2 ^@
    ctrl+3 ^[
    ctrl+8 ^?
    ctrl+1 1
    ctrl+= =
    ctrl++ +
    ctrl+é é
    ctrl+alt+c ^[^C
    alt+Tab ^[^I
    alt+shift+Tab ^[^[[Z
    `,
  );
});

describe('in the application modes', () => {
  table(
    APPLICATION,
    `
    ArrowUp ^[OA
    ArrowLeft ^[OD
    Home ^[OH
    End ^[OF
    ctrl+ArrowUp ^[[1;5A
    Delete ^[[3~
    F5 ^[[15~
    keypad+0 ^[Op
    keypad+9 ^[Oy
    keypad++ ^[Ok
    keypad+- ^[Om
    keypad+* ^[Oj
    keypad+/ ^[Oo
    keypad+. ^[On
    keypad+, ^[Ol
    keypad+= ^[OX
    keypad+Enter ^[OM
    Enter ^M
    7 7
    `,
  );
});

it('swaps Backspace and ends lines as the application asked', () => {
  const modes = { ...NORMAL, backspaceSendsBs: true, newline: true };
  expect(encodeKey(press('Backspace'), modes)).toBe('\b');
  expect(encodeKey(press('ctrl+Backspace'), modes)).toBe('\x7f');
  expect(encodeKey(press('Enter'), modes)).toBe('\r\n');
});

it.each(['Shift', 'Control', 'Dead', 'Process', 'Unidentified', 'F25', 'arrowup', '', 'ab', '\x1b', '\ud83d', '\n', '\u009b'])(
  'sends nothing for %j',
  (key) => {
    expect(encodeKey(press(key), NORMAL)).toBeNull();
  },
);

it('types every printable character as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }), (key) => {
      if (/\p{C}/u.test(key)) return;
      expect(encodeKey({ ...press('x'), key }, NORMAL)).toBe(key);
    }),
  );
});
