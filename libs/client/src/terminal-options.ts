import { type TerminalProtocol } from './terminal-wire';

/** The part of the browser's WebSocket that is used here; Node has the same. */
export interface Socket {
  readonly readyState: number;
  /** What the server chose of the subprotocols. */
  readonly protocol: string;
  binaryType: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
}

export interface TerminalExitView {
  readonly code: number | null;
  readonly signal: string | null;
  readonly reason: string;
}

export interface TerminalScreenView {
  readonly seq: number;
  readonly cols: number;
  readonly rows: number;
  readonly data: string;
}

export interface TerminalClientOptions {
  /** Where the server is, e.g. `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly environmentId: string;
  /** Asked before each connection and each renewal. Refused with an ApiError it ends the terminal; else it is asked again, as after any cut. */
  readonly token: () => Promise<string>;
  readonly cols: number;
  readonly rows: number;
  /** Joins an existing session; without it a new one begins. */
  readonly sessionId?: string;
  /** `seq` up to which output is already there. */
  readonly after?: number;
  readonly clientId?: string;
  /** What is asked for; `binary` costs less at both ends. A server that has only JSON is spoken to in JSON. `json` by default. */
  readonly protocol?: TerminalProtocol;
  readonly openSocket?: (url: string, protocols: string[]) => Socket;
  /** Milliseconds to wait before the n-th attempt in a row (from 1), unless the server asks for more. */
  readonly backoff?: (attempt: number) => number;
  /** Milliseconds between pings; a connection that says nothing from one to the next is given up. 15 000 by default. */
  readonly pingEveryMs?: number;
  /** Attempts in a row after which it gives up; endless without it. */
  readonly attempts?: number;

  /**
   * Characters are whole, whatever frames they come in; what is not UTF-8 is U+FFFD.
   * `replayed`: part of the history that the emulator must not answer (until `replay_until`).
   */
  readonly onOutput?: (data: string, seq: number, replayed: boolean) => void;
  /**
   * The same as bytes: as the shell printed them, in the binary subprotocol. Resolves when they are rendered, where that takes time:
   * only then are they acknowledged, and the server sends at most 256 KiB more than that.
   */
  readonly onBytes?: (data: Uint8Array, seq: number, replayed: boolean) => void | Promise<void>;
  /** Asked for by `paint`: escape sequences that paint the screen as it stands at `seq`, modes included. Output goes on behind it. */
  readonly onScreen?: (screen: TerminalScreenView) => void;
  /** So many bytes are lost for this client: `paint` shows what the screen is by now. */
  readonly onGap?: (bytes: number, seq: number) => void;
  readonly onConnected?: (welcome: Readonly<Record<string, unknown>>) => void;
  readonly onDisconnected?: (code: number) => void;
  readonly onStatus?: (status: string) => void;
  readonly onError?: (code: string, message: string) => void;
  /** The end: the shell's own, or one that reconnecting cannot mend. Called once. */
  readonly onEnd: (end: { readonly exit: TerminalExitView | null; readonly code: number; readonly error: string | null }) => void;
}
