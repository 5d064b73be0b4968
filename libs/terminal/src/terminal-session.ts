import { type Clock, RingBuffer } from '@devpocket/kernel';
import { RuntimeError, type TerminalChannel, type TerminalExit } from '@devpocket/runtime';
import { AttachedClient, type Outlet } from './terminal-client';
import { Paced } from './paced';
import { orphanedHead } from './utf8';

/** A controller that takes nothing for so long stops counting while others are attached. */
const STALL_MS = 5_000;
const MOST_CLIENT_IDS = 256;
/** A window that is dragged gives a size a frame; a program repaints for each. */
const RESIZE_PAUSE_MS = 20;
const CLOSE_REPLACED = 4408;
const CLOSE_GONE = 4410;
const CLOSE_DONE = 1000;

export interface AttachRequest {
  readonly clientId: string;
  readonly cols: number;
  readonly rows: number;
  readonly after: number | null;
  readonly acks: boolean;
  readonly view: boolean;
  readonly outlet: Outlet;
}

export interface Attachment {
  readonly client: AttachedClient;
  readonly seq: number;
  readonly gap: number;
  readonly replayUntil: number;
  readonly inputSeq: number;
}

export interface SessionListener {
  /** New output, in bytes. */
  output(bytes: number): void;
  /** Somebody typed. */
  typed(): void;
  ended(): void;
}

/** One shell with its kept output. It outlives its sockets: each is only a cursor into the ring. */
export class TerminalSession {
  readonly createdAt: Date;
  private readonly ring: RingBuffer;
  private readonly clients = new Set<AttachedClient>();
  private controller: AttachedClient | null = null;
  /** Highest input position accepted and taken per client id. */
  private readonly marks = new Map<string, { accepted: number; taken: number }>();
  private size: { cols: number; rows: number };
  private sent: { cols: number; rows: number };
  private readonly sendSize: Paced;
  private readonly tellSize: Paced;
  private paused = false;
  /** A controller that dropped off a moment ago counts for a while: it is probably on its way back. */
  private absent: { readonly confirmed: number; readonly until: number } | null = null;
  private exit: TerminalExit | null = null;
  private exitedAt: Date | null = null;
  private outputAt: Date | null = null;
  private typedAt: Date | null = null;

  constructor(
    private readonly channel: TerminalChannel,
    readonly environmentId: string,
    private readonly bufferBytes: number,
    private readonly clock: Clock,
    private readonly listener: SessionListener,
  ) {
    this.createdAt = channel.createdAt;
    this.size = { cols: channel.cols, rows: channel.rows };
    this.sent = this.size;
    this.sendSize = new Paced(clock, RESIZE_PAUSE_MS, () => this.resizeChannel());
    this.tellSize = new Paced(clock, RESIZE_PAUSE_MS, () => this.tell(this.sizeMessage()));
    this.ring = new RingBuffer(bufferBytes, channel.start);
    for (const [id, seq] of channel.inputMarks) this.marks.set(id, { accepted: seq, taken: seq });
    channel.attach((chunk) => this.output(chunk));
    void channel.ended.then((exit) => this.end(exit));
  }

  get id(): string {
    return this.channel.sessionId;
  }

  get alive(): boolean {
    return this.exit === null;
  }

  get attached(): number {
    return this.clients.size;
  }

  get endedAt(): Date | null {
    return this.exitedAt;
  }

  describe(): {
    readonly cols: number;
    readonly rows: number;
    readonly lastOutputAt: Date | null;
    readonly exit: TerminalExit | null;
  } {
    return { ...this.size, lastOutputAt: this.outputAt, exit: this.exit };
  }

  /** When it was last of use: for the rule which of several gives way. */
  get lastUse(): number {
    return Math.max(this.createdAt.getTime(), this.typedAt?.getTime() ?? 0, this.outputAt?.getTime() ?? 0);
  }

  foregroundBusy(): Promise<boolean | null> {
    return this.channel.foregroundBusy();
  }

  /** Output more than 1 s after the last input: where the runtime cannot tell what is in the foreground, this is somebody's work. */
  get quietTyping(): boolean {
    return this.clock.millis() - (this.typedAt?.getTime() ?? 0) > 1_000;
  }

  has(clientId: string): boolean {
    return [...this.clients].some((client) => client.clientId === clientId);
  }

  /** Null when `after` is beyond the end. The caller sends its welcome, then calls `begin`. */
  attach(request: AttachRequest): Attachment | null {
    const { clientId, after } = request;
    if (after !== null && after > this.ring.end) return null;
    for (const other of this.clients) if (other.clientId === clientId) this.replace(other);
    const wanted = after ?? this.ring.start;
    let seq = Math.max(wanted, this.ring.start);
    if (seq > wanted || after === null) seq += seq > 0 ? orphanedHead(this.ring.slice(seq, 3)) : 0;
    const client = new AttachedClient(
      clientId,
      request.view,
      request.acks,
      this.ring,
      request.outlet,
      this.clock,
      () => this.balance(),
      seq,
    );
    this.clients.add(client);
    if (!this.controller && !request.view) this.takeControl(client);
    if (this.controller === client) this.resizeTo(request.cols, request.rows);
    const gap = after === null ? 0 : seq - after;
    return { client, seq, gap, replayUntil: this.ring.end, inputSeq: this.marks.get(clientId)?.taken ?? 0 };
  }

  /** The output begins; a shell that has ended says so behind its tail. */
  begin(client: AttachedClient): void {
    if (this.exit) this.farewell(client, this.exit);
    else client.flush();
    this.balance();
  }

  detach(client: AttachedClient): void {
    client.gone();
    if (!this.clients.delete(client)) return;
    if (this.controller === client) {
      this.passControl();
      if (!this.controller) this.absent = { confirmed: client.confirmed, until: this.clock.millis() + STALL_MS };
    }
    this.balance();
  }

  /**
   * Types, in order. Bytes that were taken before are dropped.
   * @returns what to answer: null once the PTY took it, or an error
   */
  async input(
    client: AttachedClient,
    bytes: Buffer,
    seq: number | null,
  ): Promise<{ readonly code: string; readonly message: string; readonly expected?: number } | null> {
    if (client.view) return { code: 'read_only', message: 'This client only views' };
    const mark = seq === null ? null : this.markOf(client.clientId);
    let fresh = bytes;
    if (mark && seq !== null) {
      const begins = seq - bytes.length;
      if (begins > mark.accepted)
        return {
          code: 'input_gap',
          message: `Input up to ${mark.accepted} was taken; send on from there`,
          expected: mark.accepted,
        };
      fresh = seq <= mark.accepted ? Buffer.alloc(0) : bytes.subarray(mark.accepted - begins);
      mark.accepted = Math.max(mark.accepted, seq);
    }
    this.typedAt = this.clock.now();
    this.listener.typed();
    try {
      await this.channel.write(fresh, seq === null ? undefined : { clientId: client.clientId, seq });
    } catch (error) {
      if (error instanceof RuntimeError) return { code: 'input_lost', message: 'The shell has ended' };
      throw error;
    }
    if (mark && seq !== null) mark.taken = Math.max(mark.taken, seq);
    return null;
  }

  resize(client: AttachedClient, cols: number, rows: number): void {
    if (client === this.controller) this.resizeTo(cols, rows);
    else client.send(this.sizeMessage());
  }

  control(client: AttachedClient, action: 'take' | 'release'): void {
    if (action === 'take' && !client.view) this.takeControl(client);
    else if (action === 'release' && this.controller === client) this.passControl();
    this.tellSize.run();
    this.balance();
  }

  tell(message: Readonly<Record<string, unknown>>): void {
    for (const client of this.clients) client.send(message);
  }

  kill(): Promise<void> {
    return this.channel.kill();
  }

  /** The server leaves; where the runtime can, the shell stays. */
  leave(): void {
    for (const client of this.clients) client.gone();
    this.clients.clear();
    this.channel.detach();
  }

  /** Pauses the shell while the one client that counts is behind, never for anybody else. */
  balance(): void {
    const slow = this.throttle();
    if (slow === this.paused) return;
    this.paused = slow;
    if (slow) {
      this.channel.pause();
      void this.clock.wait(STALL_MS).then(() => this.balance());
    } else this.channel.resume();
  }

  private throttle(): boolean {
    const { controller, absent } = this;
    if (this.exit) return false;
    const behind = (confirmed: number): boolean => this.ring.end - confirmed >= this.bufferBytes / 2;
    if (!controller) return absent !== null && this.clock.millis() < absent.until && behind(absent.confirmed);
    if (!behind(controller.confirmed)) return false;
    const stalled = this.clock.millis() - controller.movedAt >= STALL_MS;
    return !(stalled && this.clients.size > 1);
  }

  private output(chunk: Buffer): void {
    this.ring.append(chunk);
    this.outputAt = this.clock.now();
    this.listener.output(chunk.length);
    for (const client of this.clients) client.wake();
    this.balance();
  }

  private end(exit: TerminalExit): void {
    this.exit = exit;
    this.exitedAt = this.clock.now();
    for (const client of this.clients) this.farewell(client, exit);
    this.clients.clear();
    this.controller = null;
    this.listener.ended();
  }

  private farewell(client: AttachedClient, exit: TerminalExit): void {
    client.flush(true);
    client.send({ type: 'exit', code: exit.code, signal: exit.signal, reason: exit.reason });
    client.close(exit.reason === 'environment_stopped' ? CLOSE_GONE : CLOSE_DONE, exit.reason);
  }

  private replace(other: AttachedClient): void {
    other.send({ type: 'error', code: 'replaced', message: 'This client connected again' });
    other.close(CLOSE_REPLACED, 'replaced');
    this.detach(other);
  }

  private markOf(clientId: string): { accepted: number; taken: number } {
    let mark = this.marks.get(clientId);
    if (!mark) {
      const [oldest] = this.marks.keys();
      if (this.marks.size >= MOST_CLIENT_IDS && oldest !== undefined) this.marks.delete(oldest);
      mark = { accepted: 0, taken: 0 };
      this.marks.set(clientId, mark);
    }
    return mark;
  }

  private takeControl(client: AttachedClient): void {
    this.controller = client;
    this.absent = null;
  }

  private passControl(): void {
    this.controller = [...this.clients].find((client) => !client.view) ?? null;
    this.tellSize.run();
  }

  private resizeTo(cols: number, rows: number): void {
    if (cols === this.size.cols && rows === this.size.rows) return;
    this.size = { cols, rows };
    this.sendSize.run();
    this.tellSize.run();
  }

  private async resizeChannel(): Promise<void> {
    const { size, sent } = this;
    if (size.cols === sent.cols && size.rows === sent.rows) return;
    this.sent = size;
    await this.channel.resize(size).catch(() => undefined); // it has ended: its exit tells
  }

  private sizeMessage(): Readonly<Record<string, unknown>> {
    return { type: 'size', ...this.size, owner: this.controller?.clientId ?? null };
  }
}
