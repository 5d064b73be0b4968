/** Between a session and the thread in which screens are kept. */

/** What happened to a terminal, in order: output, a new size, or a jump over output that is not known. */
export type ScreenStep =
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  | { readonly kind: 'size'; readonly cols: number; readonly rows: number }
  /** Sequences that set the modes as they were behind the jump. */
  | { readonly kind: 'jump'; readonly modes: string };

export type ScreenFormat = 'ansi' | 'text';

export interface ScreenImage {
  readonly cols: number;
  readonly rows: number;
  /** Escape sequences that paint the screen, or its rows as lines of text. */
  readonly data: string;
  /** Bytes at the end of the output that `data` does not cover: of a character that is not complete. */
  readonly uncovered: number;
}

export interface ScreenSize {
  readonly cols: number;
  readonly rows: number;
}

/** Where screens are kept, by key. Calls take effect in order. */
export interface ScreenKeeper {
  /** Changes when everything that was kept is lost. */
  readonly generation: number;
  /** More than `paint` needs can wait. */
  readonly busy: boolean;
  /** @param size of the screen before the first step, if it is new */
  follow(key: string, size: ScreenSize, steps: readonly ScreenStep[]): void;
  /** @throws Error when the screen cannot be had */
  paint(key: string, format: ScreenFormat): Promise<ScreenImage>;
  forget(key: string): void;
}

export type ToScreenThread =
  | { readonly kind: 'follow'; readonly key: string; readonly size: ScreenSize; readonly steps: readonly ScreenStep[] }
  | { readonly kind: 'paint'; readonly key: string; readonly format: ScreenFormat; readonly call: number }
  | { readonly kind: 'forget'; readonly key: string };

export type FromScreenThread =
  | { readonly kind: 'followed'; readonly bytes: number }
  | { readonly kind: 'painted'; readonly call: number; readonly image: ScreenImage }
  | { readonly kind: 'failed'; readonly call: number; readonly message: string };
