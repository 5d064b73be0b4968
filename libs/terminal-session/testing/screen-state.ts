import { Terminal } from '@xterm/headless';
import { CHARACTER_WIDTHS } from '../src/character-width';
import { type Cell, type ScreenBuffer, stateOf } from '../src/emulator-state';

/** What a person at a client has before them: an emulator of its own. */
export function freshTerminal(cols: number, rows: number): Terminal {
  const terminal = new Terminal({ cols, rows, scrollback: 200, allowProposedApi: true, logLevel: 'off' });
  terminal.unicode.register(CHARACTER_WIDTHS);
  terminal.unicode.activeVersion = CHARACTER_WIDTHS.version;
  return terminal;
}

export function write(terminal: Terminal, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => terminal.write(data, resolve));
}

const HAS_EXTENDED = 0x10_000000;
const UNDERLINE = 0x10_000000;
const COLOR = 0x3_ffffff;

/** A colour of a palette leaves the rest of another's bits where they were. */
function seen(value: number): string {
  const mode = (value >>> 24) & 3;
  const color = mode === 3 ? value & 0xffffff : mode === 0 ? 0 : value & 0xff;
  return `${((value & ~COLOR) >>> 24).toString(16)}/${mode}/${color.toString(16)}`;
}

/**
 * Everything of a terminal that can be seen, or that decides what later output does, as lines of text that a test can compare. An
 * empty cell is a space here.
 */
export function screenState(terminal: Terminal): readonly string[] {
  const { buffers, coreService, coreMouseService, optionsService, _charsetService, _inputHandler, _oscLinkService } =
    stateOf(terminal);
  const { cols, rows } = terminal;
  const cell = terminal.buffer.active.getNullCell() as unknown as Cell;
  const look = ({ fg, bg, extended }: Pick<Cell, 'fg' | 'bg' | 'extended'>): string => {
    const link =
      bg & HAS_EXTENDED && extended.urlId > 0 ? JSON.stringify(_oscLinkService.getLinkData(extended.urlId) ?? null) : '';
    const line =
      bg & HAS_EXTENDED ? `${fg & UNDERLINE ? Math.max(1, extended.underlineStyle) : 0}/${seen(extended.underlineColor)}` : '';
    return `${seen(fg)}.${seen(bg & ~HAS_EXTENDED)}.${line}${link}`;
  };
  const rowsOf = (buffer: ScreenBuffer): string[] =>
    Array.from({ length: rows }, (_, row) => {
      const line = buffer.lines.get(buffer.ybase + row);
      if (!line) return 'none';
      const cells = Array.from({ length: cols }, (_unused, column) => {
        line.loadCell(column, cell);
        return `${cell.getChars() || ' '}:${cell.getWidth()}:${look(cell)}`;
      });
      return `${line.isWrapped ? '↳' : ' '} ${cells.join('|')}`;
    });
  const restOf = (buffer: ScreenBuffer): unknown => [
    [buffer.scrollTop, buffer.scrollBottom],
    Object.keys(buffer.tabs).filter((column) => Number(column) < cols),
    [buffer.savedX, Math.min(rows - 1, Math.max(0, buffer.savedY - buffer.ybase))],
    [
      seen(buffer.savedCurAttrData.fg),
      seen(buffer.savedCurAttrData.bg & ~HAS_EXTENDED),
      buffer.savedCharset?.q,
      buffer.savedCharset?.['#'],
    ],
  ];
  const { normal, alt, active } = buffers;
  const { convertEol, cursorBlink } = optionsService.rawOptions;
  return [
    `${active === alt ? 'alternate' : 'normal'} ${cols}x${rows} cursor ${active.x},${active.y}`,
    ...rowsOf(normal),
    JSON.stringify(restOf(normal)),
    ...(active === alt ? rowsOf(alt) : []),
    JSON.stringify(restOf(alt)),
    `pen ${look(_inputHandler._curAttrData)}`,
    JSON.stringify([coreService.isCursorHidden, coreService.modes, coreService.decPrivateModes, convertEol, cursorBlink]),
    JSON.stringify([coreMouseService.activeProtocol, coreMouseService.activeEncoding]),
    JSON.stringify([_charsetService.glevel, _charsetService.charset?.q, _charsetService.charset?.['#']]),
    JSON.stringify([_inputHandler._windowTitle, _inputHandler._iconName]),
  ];
}
