/**
 * Key presses as xterm sends them (XTerm Control Sequences, "PC-Style Function Keys" and "VT220-Style Function Keys"): what a client
 * without a terminal of its own, such as a row of buttons on a phone, needs to type anything.
 */

/** What an application has asked of the keyboard. */
export interface KeyboardModes {
  /** DECCKM (`CSI ? 1 h`): cursor keys begin with SS3. */
  readonly applicationCursor: boolean;
  /** DECKPAM (`ESC =`, `CSI ? 66 h`): the numeric keypad sends SS3 sequences. */
  readonly applicationKeypad: boolean;
  /** DECBKM (`CSI ? 67 h`): Backspace sends BS, Ctrl-Backspace DEL. */
  readonly backspaceSendsBs: boolean;
  /** LNM (`CSI 20 h`): Enter sends CR LF. */
  readonly newline: boolean;
}

export interface KeyPress {
  /** As DOM `KeyboardEvent.key`: a character as it is typed (`A` with Shift), or a name such as `ArrowUp`. */
  readonly key: string;
  readonly ctrl: boolean;
  readonly alt: boolean;
  readonly shift: boolean;
  readonly meta: boolean;
  /** DOM `KeyboardEvent.location` is 3: a key of the numeric keypad. */
  readonly keypad: boolean;
}

const ESC = '\x1b';
const CSI = '\x1b[';
const SS3 = '\x1bO';

/** Final bytes of the keys that heed DECCKM. `Clear` is the keypad's 5 without NumLock. */
const CURSOR = new Map([
  ['ArrowUp', 'A'],
  ['ArrowDown', 'B'],
  ['ArrowRight', 'C'],
  ['ArrowLeft', 'D'],
  ['Clear', 'E'],
  ['End', 'F'],
  ['Home', 'H'],
]);

const FIRST_FOUR = new Map([
  ['F1', 'P'],
  ['F2', 'Q'],
  ['F3', 'R'],
  ['F4', 'S'],
]);

/** Numbers of the keys that end with a tilde. */
const TILDE = new Map([
  ['Find', 1],
  ['Insert', 2],
  ['Delete', 3],
  ['Select', 4],
  ['PageUp', 5],
  ['PageDown', 6],
  ['F5', 15],
  ['F6', 17],
  ['F7', 18],
  ['F8', 19],
  ['F9', 20],
  ['F10', 21],
  ['F11', 23],
  ['F12', 24],
  ['F13', 25],
  ['F14', 26],
  ['F15', 28],
  ['F16', 29],
  ['F17', 31],
  ['F18', 32],
  ['F19', 33],
  ['F20', 34],
  ['Help', 28],
  ['ContextMenu', 29],
]);

/** What the numeric keypad sends behind SS3 in application mode. */
const KEYPAD = new Map([
  ['Enter', 'M'],
  ['=', 'X'],
  ['*', 'j'],
  ['+', 'k'],
  [',', 'l'],
  ['-', 'm'],
  ['.', 'n'],
  ['/', 'o'],
  ...[...'0123456789'].map((digit, at) => [digit, String.fromCharCode(0x70 + at)] as const),
]);

/** Ctrl with a digit, as X11 has it (XLookupString). */
const CTRL_DIGIT = new Map([
  ['2', '\x00'],
  ['3', '\x1b'],
  ['4', '\x1c'],
  ['5', '\x1d'],
  ['6', '\x1e'],
  ['7', '\x1f'],
  ['8', '\x7f'],
  ['/', '\x1f'],
  ['?', '\x7f'],
  [' ', '\x00'],
]);

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** What the key sends, or null for one that sends nothing: a modifier alone, a dead key, a name that is not known. */
export function encodeKey(press: KeyPress, modes: KeyboardModes): string | null {
  const { key } = press;
  const modifiers = 1 + Number(press.shift) + 2 * Number(press.alt) + 4 * Number(press.ctrl) + 8 * Number(press.meta);
  const cursor = CURSOR.get(key);
  if (cursor !== undefined) {
    if (modifiers > 1) return `${CSI}1;${modifiers}${cursor}`;
    return `${modes.applicationCursor ? SS3 : CSI}${cursor}`;
  }
  const first = FIRST_FOUR.get(key);
  if (first !== undefined) return modifiers > 1 ? `${CSI}1;${modifiers}${first}` : `${SS3}${first}`;
  const tilde = TILDE.get(key);
  if (tilde !== undefined) return modifiers > 1 ? `${CSI}${tilde};${modifiers}~` : `${CSI}${tilde}~`;
  const keypad = press.keypad && modes.applicationKeypad ? KEYPAD.get(key) : undefined;
  const text = keypad === undefined ? (named(press, modes) ?? typed(press)) : SS3 + keypad;
  return text === null ? null : (press.alt || press.meta ? ESC : '') + text;
}

function named({ key, ctrl, shift }: KeyPress, modes: KeyboardModes): string | null {
  switch (key) {
    case 'Backspace':
      return ctrl === modes.backspaceSendsBs ? '\x7f' : '\b';
    case 'Tab':
      return shift ? `${CSI}Z` : '\t';
    case 'Enter':
      return modes.newline ? '\r\n' : '\r';
    case 'Escape':
      return ESC;
    default:
      return null;
  }
}

/** A character as it is, or the control character it makes with Ctrl; with Ctrl xterm sends what makes none unchanged. */
function typed({ key, ctrl }: KeyPress): string | null {
  if (!isCharacter(key)) return null;
  if (!ctrl) return key;
  const known = CTRL_DIGIT.get(key);
  if (known !== undefined) return known;
  return /^[@-~]$/.test(key) ? String.fromCharCode(key.charCodeAt(0) & 0x1f) : key;
}

/** One character as a person sees it, which may have several code points; never a control character or half a surrogate pair. */
function isCharacter(key: string): boolean {
  if (key === '' || /[\p{Cc}\p{Cs}]/u.test(key)) return false;
  const [first] = graphemes.segment(key);
  return first?.segment.length === key.length;
}
