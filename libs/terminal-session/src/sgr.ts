import { type Attributes } from './emulator-state';

/** Bits of the emulator's attributes (its buffer/Constants.ts). */
const COLOR_MODE = 0x3_000000;
const COLOR_16 = 0x1_000000;
const COLOR_256 = 0x2_000000;
const COLOR_RGB = 0x3_000000;
const COLOR = COLOR_MODE | 0xffffff;
const UNDERLINE = 0x10_000000;
const EXTENDED = 0x10_000000;
const PROTECTED = 0x20_000000;
const FG_FLAGS: readonly (readonly [bit: number, code: string])[] = [
  [0x8_000000, '1'],
  [0x20_000000, '5'],
  [0x4_000000, '7'],
  [0x40_000000, '8'],
  [0x80_000000, '9'],
];
const BG_FLAGS: readonly (readonly [bit: number, code: string])[] = [
  [0x8_000000, '2'],
  [0x4_000000, '3'],
  [0x40_000000, '53'],
];

/** SGR parameters (ECMA-48, ISO 8613-6) that set exactly these attributes, whatever was set before. */
export function sgrOf({ fg, bg, extended }: Attributes): string {
  const codes = ['0'];
  for (const [bit, code] of FG_FLAGS) if (fg & bit) codes.push(code);
  for (const [bit, code] of BG_FLAGS) if (bg & bit) codes.push(code);
  // A link is underlined by the emulator itself.
  const style = extended.urlId > 0 ? 1 : extended.underlineStyle;
  if (fg & UNDERLINE) codes.push(style > 1 ? `4:${style}` : '4');
  codes.push(...colorOf(fg, 30, 90, '38'), ...colorOf(bg, 40, 100, '48'), ...underlineColorOf(extended.underlineColor));
  return codes.join(';');
}

/** A cell has its `extended` only then: else it is that of the cell read before. */
export function hasExtended({ bg }: Attributes): boolean {
  return (bg & EXTENDED) !== 0;
}

export function isProtected({ bg }: Attributes): boolean {
  return (bg & PROTECTED) !== 0;
}

/** An erased cell has at most a background. */
export function isErased({ fg, bg }: Attributes): boolean {
  return fg === 0 && (bg & ~COLOR) === 0;
}

function colorOf(value: number, dark: number, bright: number, extended: string): string[] {
  const index = value & 0xff;
  switch (value & COLOR_MODE) {
    case COLOR_16:
      return [String(index < 8 ? dark + index : bright + index - 8)];
    case COLOR_256:
      return [extended, '5', String(index)];
    case COLOR_RGB:
      return [extended, '2', ...rgb(value)];
    default:
      return [];
  }
}

/** With colons: a terminal that does not know it skips the whole instead of taking its numbers for others. */
function underlineColorOf(value: number): string[] {
  switch (value & COLOR_MODE) {
    case COLOR_16:
    case COLOR_256:
      return [`58:5:${value & 0xff}`];
    case COLOR_RGB:
      return [`58:2::${rgb(value).join(':')}`];
    default:
      return [];
  }
}

function rgb(value: number): string[] {
  return [16, 8, 0].map((shift) => String((value >>> shift) & 0xff));
}
