import { type IUnicodeVersionProvider } from '@xterm/headless';

/**
 * How many cells a character takes, as wcwidth(3) of today's C libraries has it: vim, less, tmux and readline lay their screens out by
 * it, so the emulator must. Its own table is Unicode 6's, in which an emoji is one cell wide.
 */

/** East Asian Wide and Fullwidth (UAX #11) beyond the emoji, which have a property of their own. */
const WIDE: readonly (readonly [from: number, to: number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18aff],
  [0x1aff0, 0x1b2ff],
  [0x1f200, 0x1f265],
  [0x20000, 0x2fffd],
  [0x30000, 0x3fffd],
];

/** The two letters of a flag take one cell each. */
const REGIONAL_INDICATORS = [0x1f1e6, 0x1f1ff] as const;
const SOFT_HYPHEN = 0xad;
/** Vowels and finals of Hangul, which join the syllable before them. */
const HANGUL_JOINING = [0x1160, 0x11ff] as const;

const within = (code: number, [from, to]: readonly [number, number]): boolean => code >= from && code <= to;

/** Widths that were asked for, plus one; 0 is not known yet. Planes above 3 have none that is wide. */
const known = new Uint8Array(0x40000);

/** Cells of a code point: 0 for one that joins the character before it. */
export function characterWidth(code: number): 0 | 1 | 2 {
  if (code >= 0x20 && code < 0x7f) return 1;
  const cached = known[code];
  if (cached) return (cached - 1) as 0 | 1 | 2;
  const width = measure(code);
  if (code < known.length) known[code] = width + 1;
  return width;
}

function measure(code: number): 0 | 1 | 2 {
  if (code < 0xa0) return code < 0x20 || code >= 0x7f ? 0 : 1;
  if (code === SOFT_HYPHEN) return 1;
  const character = String.fromCodePoint(code);
  if (/[\p{Mn}\p{Me}\p{Cf}]/u.test(character) || within(code, HANGUL_JOINING)) return 0;
  if (WIDE.some((range) => within(code, range))) return 2;
  return /\p{Emoji_Presentation}/u.test(character) && !within(code, REGIONAL_INDICATORS) ? 2 : 1;
}

/** For the emulator. A character's properties are one number: bit 0 says that it joins, bits 1 and 2 its width. */
export const CHARACTER_WIDTHS: IUnicodeVersionProvider = {
  version: 'wcwidth',
  wcwidth: characterWidth,
  charProperties: (code, preceding) => {
    const width = characterWidth(code);
    const before = (preceding >> 1) & 3;
    return width === 0 && before > 0 ? (before << 1) | 1 : width << 1;
  },
};
