import { type Terminal } from '@xterm/headless';

/**
 * What the emulator knows and its public interface does not tell. The shape is that of the version in the lock file; `stateOf` refuses
 * another, so that an update which moves something fails the first spec instead of painting wrongly.
 */
export interface EmulatorState {
  readonly buffers: { readonly normal: ScreenBuffer; readonly alt: ScreenBuffer; readonly active: ScreenBuffer };
  readonly coreService: {
    readonly isCursorHidden: boolean;
    readonly modes: { readonly insertMode: boolean };
    readonly decPrivateModes: {
      readonly applicationCursorKeys: boolean;
      readonly applicationKeypad: boolean;
      readonly bracketedPasteMode: boolean;
      readonly cursorBlink: boolean | undefined;
      readonly cursorStyle: 'block' | 'underline' | 'bar' | undefined;
      readonly origin: boolean;
      readonly reverseWraparound: boolean;
      readonly sendFocus: boolean;
      readonly synchronizedOutput: boolean;
      readonly wraparound: boolean;
    };
  };
  readonly coreMouseService: { readonly activeProtocol: string; readonly activeEncoding: string };
  readonly optionsService: { readonly rawOptions: { readonly convertEol: boolean; readonly cursorBlink: boolean } };
  readonly _charsetService: {
    readonly glevel: number;
    readonly charset: Charset | undefined;
    readonly _charsets: readonly (Charset | undefined)[];
  };
  readonly _oscLinkService: { getLinkData(id: number): { readonly id?: string; readonly uri: string } | undefined };
  readonly _inputHandler: {
    readonly _curAttrData: Attributes;
    readonly _windowTitle: string;
    readonly _iconName: string;
    readonly _parser: { readonly currentState: number; readonly precedingJoinState: number };
    parse(data: string): void;
  };
}

export interface ScreenBuffer {
  readonly x: number;
  readonly y: number;
  readonly ybase: number;
  readonly scrollTop: number;
  readonly scrollBottom: number;
  readonly tabs: Readonly<Record<number, boolean | undefined>>;
  readonly savedX: number;
  readonly savedY: number;
  readonly savedCurAttrData: Attributes;
  readonly savedCharset: Charset | undefined;
  readonly lines: { get(row: number): Line | undefined };
}

export interface Line {
  readonly isWrapped: boolean;
  loadCell(column: number, into: Cell): Cell;
}

/** Colours and flags: the emulator's own bits, of which `sgr.ts` knows the meaning. */
export interface Attributes {
  readonly fg: number;
  readonly bg: number;
  readonly extended: { readonly underlineStyle: number; readonly underlineColor: number; readonly urlId: number };
}

export interface Cell extends Attributes {
  getChars(): string;
  getWidth(): number;
}

/** What characters below 127 become. Each is one object for ever, so that it can be told which it is. */
export type Charset = Readonly<Record<string, string>>;

/** The parser is between two sequences. */
export const GROUND = 0;

/** @throws Error when this version of the emulator is made otherwise */
export function stateOf(terminal: Terminal): EmulatorState {
  const core = (terminal as unknown as { readonly _core?: EmulatorState })._core;
  const { buffers, coreService, coreMouseService, _charsetService, _oscLinkService, _inputHandler } = core ?? {};
  const here =
    typeof buffers?.normal.savedY === 'number' &&
    typeof coreService?.decPrivateModes.wraparound === 'boolean' &&
    typeof coreMouseService?.activeEncoding === 'string' &&
    typeof _charsetService?.glevel === 'number' &&
    Array.isArray(_charsetService._charsets) &&
    typeof _oscLinkService?.getLinkData === 'function' &&
    typeof _inputHandler?._windowTitle === 'string' &&
    typeof _inputHandler._curAttrData.fg === 'number' &&
    typeof _inputHandler._parser.currentState === 'number' &&
    typeof _inputHandler._parser.precedingJoinState === 'number';
  if (!core || !here) throw new Error('This version of @xterm/headless keeps its state elsewhere');
  return core;
}
