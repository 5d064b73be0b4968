import { type Attributes, type Cell, type EmulatorState } from './emulator-state';
import { hasExtended, isErased, isProtected, sgrOf } from './sgr';

const PLAIN: Attributes = { fg: 0, bg: 0, extended: { underlineStyle: 0, underlineColor: 0, urlId: 0 } };

/** Writes escape sequences that paint cells, and remembers where the cursor is and what the pen has. */
export class Brush {
  private readonly written: string[] = [];
  private sgr = '0';
  private protecting = false;
  private link = 0;
  /** The column that comes next, or null when it is not sure: terminals differ in the width of some characters. */
  private column: number | null = null;

  constructor(private readonly links: EmulatorState['_oscLinkService']) {}

  toString(): string {
    return this.written.join('');
  }

  write(sequence: string): void {
    this.written.push(sequence);
    this.column = null;
  }

  /** @param row, column counted from 0, from the top of the scroll region in origin mode */
  move(row: number, column: number): void {
    this.write(`\x1b[${row + 1};${column + 1}H`);
    this.column = column;
  }

  /** Everything printed from now on looks so. */
  dip(attributes: Attributes): void {
    const sgr = sgrOf(attributes);
    if (sgr !== this.sgr) this.put(`\x1b[${sgr}m`);
    // Some terminals take SGR 0 for the end of protection too.
    const protects = isProtected(attributes);
    if (protects !== this.protecting || (protects && sgr !== this.sgr)) this.put(`\x1b[${protects ? 1 : 2}"q`);
    this.sgr = sgr;
    this.protecting = protects;
    this.follow(attributes.extended.urlId);
  }

  clean(): void {
    this.dip(PLAIN);
  }

  /** One cell's character where the cursor is. */
  print(cell: Cell): void {
    this.dip(hasExtended(cell) ? cell : { ...PLAIN, fg: cell.fg, bg: cell.bg });
    this.put(cell.getChars() || ' ');
  }

  /** A row's cells, on a row that is erased. */
  row(row: number, cols: number, cell: (column: number) => Cell): void {
    this.column = null;
    for (let at = 0; at < cols;) {
      const current = cell(at);
      const text = current.getChars();
      if (text === '' && isErased(current)) {
        const { bg } = current;
        const from = at;
        for (at += 1; at < cols && isErasedLike(cell(at), bg);) at += 1;
        if (bg !== 0) this.erase(row, from, at - from, bg);
      } else {
        // What joins nothing must not join what is before it here.
        if (this.column !== at || current.getWidth() === 0) this.move(row, at);
        this.print(current);
        at += Math.max(1, current.getWidth());
        this.column = /^[\x20-\x7e]?$/.test(text) ? at : null;
      }
    }
  }

  private erase(row: number, from: number, length: number, bg: number): void {
    if (this.column !== from) this.move(row, from);
    this.dip({ ...PLAIN, bg });
    this.put(`\x1b[${length}X`);
    this.column = from;
  }

  private follow(link: number): void {
    if (link === this.link) return;
    this.link = link;
    const data = link > 0 ? this.links.getLinkData(link) : undefined;
    this.put(`\x1b]8;${data?.id === undefined ? '' : `id=${data.id}`};${data?.uri ?? ''}\x1b\\`);
  }

  /** Moves nothing but what it prints. */
  private put(sequence: string): void {
    this.written.push(sequence);
  }
}

function isErasedLike(cell: Cell, bg: number): boolean {
  return cell.getChars() === '' && cell.getWidth() === 1 && isErased(cell) && cell.bg === bg;
}
