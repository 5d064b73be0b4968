import { RuntimeError, type TerminalChannel } from '@devpocket/runtime';
import { InputMarks } from './input-marks';
import { createHash } from 'node:crypto';
import { encodeKey, type KeyPress } from './key-encoder';
import { type OutputModes } from './output-modes';
import { cleanPaste, PASTE_BEGIN, PASTE_END } from './paste';
import { type PasteId } from './terminal.protocol';

/** Of a paste that the shell gets at a time: what cannot be called back. */
const PASTE_PIECE_BYTES = 16_384;
/** Pastes that are remembered, so that one which a client sends again is not pasted twice. */
const MOST_PASTES = 1_024;
/** Added to what the shell got of a paste that is in brackets, as its mark has it. */
const IN_BRACKETS = 2 ** 40;

/** Who types. */
export interface Typist {
  readonly clientId: string;
  readonly view: boolean;
}

/** Why something was not typed. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly expected?: number;
}

export interface PasteResult {
  /** That the shell got, of the text as it is pasted, without brackets. */
  readonly bytes: number;
  readonly cancelled: boolean;
}

interface Paste {
  cancelled: boolean;
  readonly result: Promise<PasteResult | Refusal>;
}

const READ_ONLY: Refusal = { code: 'read_only', message: 'This client only views' };
const LOST: Refusal = { code: 'input_lost', message: 'The shell has ended' };

/** What all clients type into one shell, in the order in which it came. */
export class SessionInput {
  private readonly marks: InputMarks;
  private readonly pastes = new Map<PasteId, Paste>();
  /** The last of what waits for a paste; null while none is under way. */
  private last: Promise<unknown> | null = null;

  constructor(
    private readonly channel: TerminalChannel,
    /** As the output so far has set them. */
    private readonly modes: () => OutputModes,
    private readonly onTyped: () => void,
  ) {
    this.marks = new InputMarks(channel.inputMarks);
  }

  /** Up to here a client's counted input has reached the PTY. */
  taken(clientId: string): number {
    return this.marks.get(clientId).taken;
  }

  /**
   * Types, in order. Bytes that were taken before are dropped.
   * @param seq the client's count of its input, this included; null for input that is not counted
   * @returns what to answer: null once the PTY took it, or an error
   */
  input(typist: Typist, bytes: Buffer, seq: number | null): Promise<Refusal | null> {
    return this.type(typist, () => bytes, seq, bytes.length);
  }

  /** Presses a key: one byte of the client's count, whatever it sends. */
  async key(typist: Typist, press: KeyPress, seq: number | null): Promise<Refusal | null> {
    const encode = (): string | null => encodeKey(press, this.modes().keyboard);
    if (encode() === null) return { code: 'bad_key', message: 'This key sends nothing' };
    return this.type(typist, () => Buffer.from(encode() ?? ''), seq, 1, true);
  }

  /**
   * Pastes a text, unless one with that id was pasted before: then it answers as that did. In brackets if the program asked for them
   * by the time its turn comes.
   */
  paste(typist: Typist, id: PasteId, text: string): Promise<PasteResult | Refusal> {
    if (typist.view) return Promise.resolve(READ_ONLY);
    const known = this.pastes.get(id);
    if (known) return known.result;
    const begin = (): Promise<PasteResult | Refusal> => this.write(paste, markOf(id), Buffer.from(cleanPaste(text)));
    const paste: Paste = { cancelled: false, result: this.inTurn(begin) };
    this.pastes.set(id, paste);
    const [oldest] = this.pastes.keys();
    if (this.pastes.size > MOST_PASTES && oldest !== undefined) this.pastes.delete(oldest);
    this.onTyped();
    return paste.result;
  }

  /** What the shell has not got of it does not come; a bracket that was opened is closed. */
  cancel(typist: Typist, id: PasteId): Refusal | null {
    if (typist.view) return READ_ONLY;
    const paste = this.pastes.get(id);
    if (paste) paste.cancelled = true;
    return null;
  }

  /** @param whole all of it or nothing: a key is not cut where it was taken before */
  private async type(
    typist: Typist,
    bytes: () => Buffer,
    seq: number | null,
    span: number,
    whole = false,
  ): Promise<Refusal | null> {
    if (typist.view) return READ_ONLY;
    const { clientId } = typist;
    let skip = 0;
    let mark: ReturnType<InputMarks['touch']> | null = null;
    if (seq !== null) {
      const begins = seq - span;
      const { accepted } = this.marks.get(clientId);
      if (begins > accepted)
        return { code: 'input_gap', message: `Input up to ${accepted} was taken; send on from there`, expected: accepted };
      mark = this.marks.touch(clientId);
      skip = seq <= accepted ? Infinity : accepted - begins;
      mark.accepted = Math.max(mark.accepted, seq);
    }
    this.onTyped();
    const write = (): Promise<void> =>
      this.channel.write(
        skip === Infinity ? Buffer.alloc(0) : bytes().subarray(skip),
        seq === null ? undefined : { clientId, seq, ...(whole ? { span } : {}) },
      );
    try {
      await (this.last ? this.inTurn(write) : write());
    } catch (error) {
      if (error instanceof RuntimeError) return LOST;
      throw error;
    }
    if (mark && seq !== null) mark.taken = Math.max(mark.taken, seq);
    return null;
  }

  /** Behind the pastes that are under way, and what waits for them. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = (this.last ?? Promise.resolve()).then(work, work);
    const done = (): void => {
      if (this.last === turn) this.last = null;
    };
    this.last = turn;
    turn.then(done, done);
    return turn;
  }

  /**
   * Goes on where the server before this one was interrupted. What the shell got is marked, as typed input is: the text by its bytes,
   * the bracket before it with its beginning, the one behind it as one more.
   */
  private async write(paste: Paste, clientId: string, text: Buffer): Promise<PasteResult | Refusal> {
    const before = this.channel.inputMarks.get(clientId) ?? null;
    const bracketed = before === null ? this.modes().bracketedPaste : before >= IN_BRACKETS;
    const zero = bracketed ? IN_BRACKETS : 0;
    const all = text.length;
    const begun = (before ?? zero) - zero;
    let bytes = Math.min(all, begun);
    let open = bracketed && before !== null && begun <= all;
    try {
      while (bytes < all && !paste.cancelled) {
        const piece = text.subarray(bytes, bytes + PASTE_PIECE_BYTES);
        const begin = bracketed && !open ? PASTE_BEGIN : '';
        bytes += piece.length;
        await this.channel.write(Buffer.concat([Buffer.from(begin), piece]), { clientId, seq: zero + bytes, span: piece.length });
        open = bracketed;
      }
      if (open) await this.channel.write(Buffer.from(PASTE_END), { clientId, seq: zero + all + 1, span: 1 });
    } catch (error) {
      if (error instanceof RuntimeError) return LOST;
      throw error;
    }
    return { bytes, cancelled: bytes < all };
  }
}

/** No client has such an id, and programs in containers take one of at most 64 bytes. */
function markOf(id: PasteId): string {
  return `paste:${createHash('sha256').update(JSON.stringify(id)).digest('base64url').slice(0, 22)}`;
}
