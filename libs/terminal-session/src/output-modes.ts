import { type KeyboardModes } from './key-encoder';

const ESC = '\x1b';
/** What sets a mode: DECSET, DECRST, SM, RM, DECSTR, DECKPAM, DECKPNM, RIS. ESC begins a sequence wherever it comes. */
const SETTINGS = new RegExp(`${ESC}(?:\\[(\\??)([\\d;]*)([hl])|\\[!(p)|([=>c]))`, 'g');
const BEGUN = new RegExp(`${ESC}(?:\\[[?!]?[\\d;]*)?$`);
const PRIVATE = Buffer.from(`${ESC}[?`);
/** A text with more of them than these is looked through for all three bytes. */
const MOST_QUESTION_MARKS = 64;
/** More parameters than any sequence that is one has. */
const LONGEST_BYTES = 256;
const MOST_SETTINGS = 128;

/** Modes of which one takes another's place; every other has a name of its own. */
const GROUPS: ReadonlyMap<number, string> = new Map([
  [66, 'keypad'],
  [9, 'mouse'],
  [1000, 'mouse'],
  [1002, 'mouse'],
  [1003, 'mouse'],
  [47, 'alternate'],
  [1047, 'alternate'],
  [1049, 'alternate'],
]);
/** What is done rather than set: saving the cursor, changing the width. */
const ACTS = new Set([3, 1048]);
/** What a soft reset does not touch. */
const FIRM = new Set(['hard', 'mouse', 'alternate', '?12', '?1006', '?1016', '20']);

/**
 * The modes that output has set, without an emulator: what a key or a paste needs to know, and what would be lost of output that is no
 * longer kept. Sequences in 8-bit form (C1), which no program sends in UTF-8, are not seen.
 */
export class OutputModes {
  /** The sequence that set it last, by name, in the order in which they came. */
  private readonly settings: Map<string, string>;

  constructor(of?: OutputModes) {
    this.settings = new Map(of?.settings);
  }

  get keyboard(): KeyboardModes {
    const keypad = this.settings.get('keypad') ?? '';
    return {
      applicationCursor: this.has('?1'),
      applicationKeypad: keypad.endsWith('=') || keypad.endsWith('h'),
      backspaceSendsBs: this.has('?67'),
      newline: this.has('20'),
    };
  }

  get bracketedPaste(): boolean {
    return this.has('?2004');
  }

  /** Sequences that set all of it. */
  toString(): string {
    return [...this.settings.values()].join('');
  }

  /** @returns how many of the bytes are dealt with: a sequence that has only begun at their end is not */
  scan(bytes: Buffer): number {
    const first = bytes.indexOf(ESC);
    if (first < 0) return bytes.length;
    const text = bytes.toString('latin1', first);
    for (const [, mark, numbers, final, soft, single] of text.matchAll(SETTINGS)) {
      if (single !== undefined) this.single(single);
      else if (soft !== undefined) this.reset();
      else this.set(mark ?? '', numbers ?? '', final ?? '');
    }
    const last = text.lastIndexOf(ESC);
    const begun = text.length - last <= LONGEST_BYTES && BEGUN.test(text.slice(last));
    return begun ? first + last : bytes.length;
  }

  /**
   * The same, at a small part of the cost for a flood of coloured lines: a block without any DEC private mode is taken to have no other
   * either, since programs set `ESC =`, RIS and DECSTR beside them.
   */
  skim(bytes: Buffer): number {
    if (hasPrivate(bytes)) return this.scan(bytes);
    const tail = bytes.subarray(-LONGEST_BYTES);
    const last = tail.lastIndexOf(ESC);
    return last >= 0 && BEGUN.test(tail.toString('latin1', last)) ? bytes.length - tail.length + last : bytes.length;
  }

  private has(name: string): boolean {
    return this.settings.get(name)?.endsWith('h') === true;
  }

  private set(mark: string, numbers: string, final: string): void {
    for (const text of numbers.split(';')) {
      const mode = Number(text);
      if (mark === '' && mode !== 4 && mode !== 20) continue;
      if (mark !== '' && (text === '' || ACTS.has(mode) || mode > 65_535)) continue;
      this.put((mark === '' ? undefined : GROUPS.get(mode)) ?? `${mark}${mode}`, `${ESC}[${mark}${mode}${final}`);
    }
  }

  private single(final: string): void {
    if (final === 'c') {
      this.settings.clear();
      this.put('hard', `${ESC}c`);
    } else this.put('keypad', ESC + final);
  }

  private reset(): void {
    for (const name of [...this.settings.keys()]) if (!FIRM.has(name)) this.settings.delete(name);
    this.put('soft', `${ESC}[!p`);
  }

  private put(name: string, sequence: string): void {
    this.settings.delete(name);
    if (this.settings.size < MOST_SETTINGS) this.settings.set(name, sequence);
  }
}

/** Is there a PRIVATE? One byte is found ten times as fast as three that begin with one of which coloured lines are full. */
function hasPrivate(bytes: Buffer): boolean {
  let at = bytes.indexOf('?');
  for (let marks = 0; at >= 0; at = bytes.indexOf('?', at + 1), marks += 1) {
    if (bytes[at - 1] === PRIVATE[1] && bytes[at - 2] === PRIVATE[0]) return true;
    if (marks === MOST_QUESTION_MARKS) return bytes.includes(PRIVATE, at);
  }
  return false;
}
