import { type IDisposable, type Terminal } from '@xterm/headless';

/** DEC private modes that the emulator keeps itself, or that are acts rather than modes. */
const KEPT = new Set([1, 2, 3, 6, 7, 9, 12, 25, 45, 47, 66, 1000, 1002, 1003, 1004, 1006, 1016, 1047, 1048, 1049, 2004, 2026]);
const MOST_MODES = 64;
const MOST_COLORS = 300;
const MOST_COLOR_LENGTH = 64;

type Params = readonly (number | readonly number[])[];

/**
 * What programs set and the emulator takes no notice of: other DEC private modes, how modified keys are sent (XTMODKEYS) and colours.
 * A client's terminal may heed them.
 */
export class UnkeptModes {
  private readonly modes = new Set<number>();
  private readonly modifiers = new Map<number, string>();
  /** By what comes before the colour in its OSC sequence: `4;1`, `10`. */
  private readonly colors = new Map<string, string>();
  private readonly hooks: readonly IDisposable[];

  constructor(terminal: Terminal) {
    const { parser } = terminal;
    // Handlers that answer false leave the sequence to the emulator.
    const seen = (act: (params: Params) => void) => (params: Params) => {
      act(params);
      return false;
    };
    const osc = (act: (data: string) => void) => (data: string) => {
      act(data);
      return false;
    };
    this.hooks = [
      parser.registerCsiHandler(
        { prefix: '?', final: 'h' },
        seen((params) => this.set(params, true)),
      ),
      parser.registerCsiHandler(
        { prefix: '?', final: 'l' },
        seen((params) => this.set(params, false)),
      ),
      parser.registerCsiHandler(
        { prefix: '>', final: 'm' },
        seen((params) => this.modify(params)),
      ),
      parser.registerEscHandler({ final: 'c' }, () => {
        this.clear();
        return false;
      }),
      parser.registerOscHandler(
        4,
        osc((data) => this.palette(data)),
      ),
      parser.registerOscHandler(
        104,
        osc((data) => this.forget(data)),
      ),
      ...[10, 11, 12].flatMap((number) => [
        parser.registerOscHandler(
          number,
          osc((data) => this.color(String(number), data.split(';')[0] ?? '')),
        ),
        parser.registerOscHandler(
          number + 100,
          osc(() => this.colors.delete(String(number))),
        ),
      ]),
    ];
  }

  /** Sequences that set all of it behind a reset. */
  toString(): string {
    return [
      ...[...this.modes].map((mode) => `\x1b[?${mode}h`),
      ...[...this.modifiers].map(([resource, value]) => `\x1b[>${resource};${value}m`),
      ...[...this.colors].map(([what, color]) => `\x1b]${what};${color}\x1b\\`),
    ].join('');
  }

  dispose(): void {
    for (const hook of this.hooks) hook.dispose();
  }

  private set(params: Params, on: boolean): void {
    for (const mode of params) {
      if (typeof mode !== 'number' || KEPT.has(mode)) continue;
      this.modes.delete(mode);
      if (on && this.modes.size < MOST_MODES) this.modes.add(mode);
    }
  }

  /** Without a value it is as it was at first; without a resource all are. */
  private modify([resource, value]: Params): void {
    if (typeof resource !== 'number' || resource === 0) this.modifiers.clear();
    else if (typeof value === 'number' && value >= 0 && resource < 10) this.modifiers.set(resource, String(value));
    else this.modifiers.delete(resource);
  }

  /** `index;colour`, any number of them. */
  private palette(data: string): void {
    const parts = data.split(';');
    for (let at = 0; at + 1 < parts.length; at += 2) this.color(`4;${parts[at] ?? ''}`, parts[at + 1] ?? '');
  }

  /** A question mark asks and sets nothing. */
  private color(what: string, color: string): void {
    if (color === '' || color === '?' || color.length > MOST_COLOR_LENGTH || !/^(?:4;\d{1,3}|\d+)$/.test(what)) return;
    if (this.colors.size < MOST_COLORS) this.colors.set(what, color);
  }

  private forget(data: string): void {
    const indexes = data === '' ? null : data.split(';').map((index) => `4;${index}`);
    for (const what of indexes ?? [...this.colors.keys()].filter((key) => key.startsWith('4;'))) this.colors.delete(what);
  }

  private clear(): void {
    this.modes.clear();
    this.modifiers.clear();
    this.colors.clear();
  }
}
