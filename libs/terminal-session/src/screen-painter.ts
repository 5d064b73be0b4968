import { type Terminal } from '@xterm/headless';
import { Brush } from './brush';
import {
  type Attributes,
  type Cell,
  type Charset,
  type EmulatorState,
  GROUND,
  type ScreenBuffer,
  stateOf,
} from './emulator-state';
import { charsetName } from './charsets';

const MOUSE_PROTOCOL: Readonly<Record<string, string>> = { X10: '9', VT200: '1000', DRAG: '1002', ANY: '1003' };
const MOUSE_ENCODING: Readonly<Record<string, string>> = { SGR: '1006', SGR_PIXELS: '1016' };
const CURSOR_STYLE = { block: 1, underline: 3, bar: 5 } as const;
const DESIGNATE = ['(', ')', '*', '+'] as const;
/** SI, SO, LS2, LS3: which of the four charsets is in use. */
const SHIFT = ['\x0f', '\x0e', '\x1bn', '\x1bo'] as const;

/**
 * Escape sequences that make a terminal of the same size look and behave as this one does: cells, wrapped lines, both screens,
 * cursor and saved cursor, pen, links, scroll region, tab stops, charsets, modes and titles. They begin with a full reset, so it does
 * not matter what the terminal showed before. Its scrollback is not among them.
 * @param more sequences that set what the emulator itself does not keep
 */
export function paintScreen(terminal: Terminal, more: string): string {
  return new Painter(terminal).paint(more);
}

class Painter {
  private readonly state: EmulatorState;
  private readonly brush: Brush;
  private readonly cell: Cell;

  constructor(private readonly terminal: Terminal) {
    this.state = stateOf(terminal);
    this.brush = new Brush(this.state._oscLinkService);
    this.cell = terminal.buffer.active.getNullCell() as unknown as Cell;
  }

  paint(more: string): string {
    const { brush } = this;
    const { normal, alt, active } = this.state.buffers;
    // LNM and the cursor's visibility are not reset by every terminal.
    brush.write('\x1bc\x1b[20l\x1b[?25h');
    if (active === alt) {
      this.buffer(normal);
      this.region(normal);
      this.savedPlace(normal);
      brush.write('\x1b[?1049h'); // saves what the normal screen had saved, as it has just been put there
      this.charset(0, undefined);
      brush.clean();
    } else if (hasSaved(alt)) {
      brush.write('\x1b[?1047h');
      this.saved(alt);
      brush.write('\x1b[?1047l');
    }
    this.buffer(active);
    if (hasSaved(active)) this.saved(active);
    this.region(active);
    this.titles();
    brush.write(more);
    this.end(active);
    return brush.toString();
  }

  private buffer(buffer: ScreenBuffer): void {
    const { brush } = this;
    const { rows, cols } = this.terminal;
    const line = (row: number) => buffer.lines.get(buffer.ybase + row);
    this.wraps(Array.from({ length: rows }, (_, row) => line(row)?.isWrapped === true));
    for (let row = 0; row < rows; row += 1) {
      const cells = line(row);
      if (cells) brush.row(row, cols, (column) => cells.loadCell(column, this.cell));
    }
    brush.clean();
    this.tabs(buffer);
  }

  /** A line goes on in the next one only when a character was printed beyond its end. What that leaves behind is erased. */
  private wraps(wrapped: readonly boolean[]): void {
    const { brush } = this;
    const { cols } = this.terminal;
    const wrap = (row: number): void => {
      brush.move(row - 1, cols - 1);
      brush.write('--\b\x1b[X');
      brush.move(row - 1, cols - 1);
      brush.write('\x1b[X');
    };
    if (wrapped[0] && wrapped.length > 1) {
      wrap(1);
      brush.write('\x1b[H\x1b[M'); // the line moves up and takes that with it
    }
    for (let row = 1; row < wrapped.length; row += 1) if (wrapped[row]) wrap(row);
  }

  private tabs({ tabs }: ScreenBuffer): void {
    const { brush } = this;
    const { cols } = this.terminal;
    const columns = Array.from({ length: cols }, (_, column) => column);
    if (columns.every((column) => (tabs[column] === true) === (column % 8 === 0))) return;
    brush.write('\x1b[3g');
    for (const column of columns) {
      if (!tabs[column]) continue;
      brush.move(0, column);
      brush.write('\x1bH');
    }
  }

  private saved(buffer: ScreenBuffer): void {
    this.savedPlace(buffer);
    this.brush.write('\x1b7');
    this.charset(0, undefined);
    this.brush.clean();
  }

  private savedPlace(buffer: ScreenBuffer): void {
    this.brush.move(rowOfSaved(buffer), buffer.savedX);
    this.charset(0, buffer.savedCharset);
    this.brush.dip(savedAttributes(buffer));
  }

  private region({ scrollTop, scrollBottom }: ScreenBuffer): void {
    if (scrollTop > 0 || scrollBottom < this.terminal.rows - 1) this.brush.write(`\x1b[${scrollTop + 1};${scrollBottom + 1}r`);
  }

  private charset(slot: number, charset: Charset | undefined): void {
    this.brush.write(`\x1b${DESIGNATE[slot] ?? '('}${charsetName(charset)}`);
  }

  /** Of what the program named, without what would end the sequence. */
  private titles(): void {
    const { _windowTitle: title, _iconName: icon } = this.state._inputHandler;
    if (title !== '') this.brush.write(`\x1b]2;${title}\x1b\\`);
    if (icon !== '') this.brush.write(`\x1b]1;${icon}\x1b\\`);
  }

  /**
   * Cursor, pen and modes, in an order in which none disturbs another. A cursor beyond the last column stands there because a
   * character was printed, and what joins a character joins only one that was printed last: so that one is printed again.
   */
  private end(buffer: ScreenBuffer): void {
    const { brush } = this;
    const { cols } = this.terminal;
    const { modes, decPrivateModes } = this.state.coreService;
    const { _curAttrData: pen, _parser: parser } = this.state._inputHandler;
    if (decPrivateModes.origin) brush.write('\x1b[?6h');
    const row = buffer.y - (decPrivateModes.origin ? buffer.scrollTop : 0);
    const joins = parser.precedingJoinState !== 0 && parser.currentState === GROUND && !modes.insertMode && buffer.x > 0;
    const again = (): void => {
      const before = this.cellBefore(buffer);
      brush.move(row, buffer.x - Math.max(1, before.getWidth()));
      brush.print(before);
    };
    if (!joins && buffer.x >= cols) again();
    else brush.move(row, buffer.x);
    this.charsets();
    brush.write(this.modes());
    brush.dip(pen);
    if (joins) again();
  }

  /** The cell that was printed when the cursor came to where it is. */
  private cellBefore({ lines, ybase, x, y }: ScreenBuffer): Cell {
    const line = lines.get(ybase + y);
    const { cell } = this;
    line?.loadCell(x - 1, cell);
    if (cell.getWidth() === 0 && cell.getChars() === '' && x > 1) line?.loadCell(x - 2, cell);
    return cell;
  }

  private charsets(): void {
    const { _charsets: charsets, glevel, charset } = this.state._charsetService;
    DESIGNATE.forEach((_, slot) => {
      // A restored cursor brings its charset back without the slot.
      const held = slot === glevel ? charset : charsets[slot];
      if (held !== undefined || slot === 0) this.charset(slot, held);
    });
    if (glevel !== 0) this.brush.write(SHIFT[glevel] ?? '');
  }

  private modes(): string {
    const { isCursorHidden, modes, decPrivateModes: dec } = this.state.coreService;
    const { activeProtocol, activeEncoding } = this.state.coreMouseService;
    const { convertEol, cursorBlink } = this.state.optionsService.rawOptions;
    const decset = [
      dec.applicationCursorKeys && '1',
      cursorBlink && '12',
      dec.reverseWraparound && '45',
      MOUSE_PROTOCOL[activeProtocol],
      dec.sendFocus && '1004',
      MOUSE_ENCODING[activeEncoding],
      dec.bracketedPasteMode && '2004',
      dec.synchronizedOutput && '2026',
    ].filter((mode) => typeof mode === 'string');
    const style = dec.cursorStyle === undefined ? null : CURSOR_STYLE[dec.cursorStyle] + (dec.cursorBlink ? 0 : 1);
    return [
      dec.applicationKeypad ? '\x1b=' : '',
      modes.insertMode ? '\x1b[4h' : '',
      convertEol ? '\x1b[20h' : '',
      dec.wraparound ? '' : '\x1b[?7l',
      isCursorHidden ? '\x1b[?25l' : '',
      style === null ? '' : `\x1b[${style} q`,
      ...decset.map((mode) => `\x1b[?${mode}h`),
    ].join('');
  }
}

function rowOfSaved({ savedY, ybase }: ScreenBuffer): number {
  return Math.max(0, savedY - ybase);
}

/** Underline styles and links are not saved with a cursor. */
function savedAttributes({ savedCurAttrData: { fg, bg } }: ScreenBuffer): Attributes {
  return { fg, bg, extended: { underlineStyle: 0, underlineColor: 0, urlId: 0 } };
}

function hasSaved(buffer: ScreenBuffer): boolean {
  const { fg, bg } = buffer.savedCurAttrData;
  return buffer.savedX > 0 || rowOfSaved(buffer) > 0 || fg !== 0 || bg !== 0 || buffer.savedCharset !== undefined;
}
