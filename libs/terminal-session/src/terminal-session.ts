import { type Clock, RingBuffer } from '@devpocket/kernel';
import { type TerminalChannel, type TerminalExit } from '@devpocket/runtime';
import { OutputPace, type PacedShell } from './output-pace';
import { type ScreenFormat, type ScreenKeeper } from './screen.messages';
import { SessionInput } from './session-input';
import { type ScreenAt, SessionScreen } from './session-screen';
import { SharedSize } from './shared-size';
import { CLOSE, comeBack } from '@devpocket/websocket';
import { AttachedClient, type Outlet, STALL_MS } from './terminal-client';
import { orphanedHead } from './utf8';

/**
 * What the shell may print ahead of what came: enough for a way of some milliseconds; less while nobody looks, for who comes then; least
 * before the first comes, who may be on a way that carries no more in a second.
 */
const AHEAD_BYTES = { attached: 262_144, detached: 65_536, fresh: 2_048 };
/** How long kept output may take to come: what a container says of it may not be so. */
const RESTORE_MS = 10_000;

export interface AttachRequest {
  readonly clientId: string;
  /** Null: as it is. */
  readonly cols: number | null;
  readonly rows: number | null;
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
  /** New output, in bytes; what was kept before is none. */
  output(bytes: number): void;
  /** Somebody typed. */
  typed(): void;
  ended(): void;
}

/** One shell with its kept output. It outlives its sockets: each is only a cursor into the ring. */
export class TerminalSession {
  readonly createdAt: Date;
  /** Resolves when the output that was kept before is here, or does not come: until then nobody can go on behind it. */
  readonly restored: Promise<void>;
  private readonly ring: RingBuffer;
  private readonly clients = new Set<AttachedClient>();
  private controller: AttachedClient | null = null;
  /** What its clients type. */
  readonly typing: SessionInput;
  private readonly screen: SessionScreen;
  private readonly size: SharedSize;
  private readonly pace: OutputPace;
  private released = false;
  /** Nobody has attached yet to this shell, which is new. */
  private fresh: boolean;
  /** A controller that dropped off a moment ago counts for a while: it is probably on its way back. */
  private absent: { readonly confirmed: number; readonly until: number } | null = null;
  private exit: TerminalExit | null = null;
  private exitedAt: Date | null = null;
  private outputAt: number | null = null;
  private typedAt: number | null = null;

  constructor(
    private readonly channel: TerminalChannel,
    readonly environmentId: string,
    private readonly bufferBytes: number,
    private readonly clock: Clock,
    private readonly listener: SessionListener,
    screens: ScreenKeeper,
  ) {
    this.createdAt = channel.createdAt;
    const { cols, rows } = channel;
    this.size = new SharedSize(
      clock,
      { cols, rows },
      async (size) => {
        await channel.resize(size).catch(() => undefined); // it has ended: its exit tells
        this.screen.resized(size);
      },
      () => this.tell(this.sizeMessage()),
    );
    this.ring = new RingBuffer(bufferBytes, channel.start);
    this.screen = new SessionScreen(`${environmentId}/${channel.sessionId}`, this.ring, { cols, rows }, screens, clock);
    this.typing = new SessionInput(
      channel,
      () => this.screen.current(),
      () => {
        this.typedAt = clock.millis();
        listener.typed();
      },
    );
    const history = channel.start + channel.kept;
    this.fresh = history === 0;
    this.pace = new OutputPace(clock, this.pacedShell(), history);
    const restored = new Promise<void>((resolve) => {
      channel.attach((chunk) => {
        this.output(chunk, history);
        if (this.ring.end >= history) resolve();
      });
      if (this.ring.end >= history) resolve();
      this.pace.review();
      void channel.ended.then((exit) => {
        this.end(exit);
        resolve();
      });
    });
    this.restored = Promise.race([restored, clock.wait(RESTORE_MS)]);
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

  /** What is kept of the output, by position. */
  get kept(): Pick<RingBuffer, 'start' | 'end' | 'slice'> {
    return this.ring;
  }

  describe(): {
    readonly cols: number;
    readonly rows: number;
    readonly lastOutputAt: Date | null;
    readonly exit: TerminalExit | null;
  } {
    return { ...this.size.current, lastOutputAt: this.outputAt === null ? null : new Date(this.outputAt), exit: this.exit };
  }

  /** When it was last of use: for the rule which of several gives way. */
  get lastUse(): number {
    return Math.max(this.createdAt.getTime(), this.typedAt ?? 0, this.outputAt ?? 0);
  }

  foregroundBusy(): Promise<boolean | null> {
    return this.channel.foregroundBusy();
  }

  /** Output more than 1 s after the last input: where the runtime cannot tell what is in the foreground, this is somebody's work. */
  get quietTyping(): boolean {
    return this.clock.millis() - (this.typedAt ?? 0) > 1_000;
  }

  has(clientId: string): boolean {
    return [...this.clients].some((client) => client.clientId === clientId);
  }

  /** Null when `after` is beyond the end. The caller sends its welcome, then calls `begin`. */
  attach(request: AttachRequest): Attachment | null {
    const { clientId, after } = request;
    if (after !== null && after > this.ring.end) return null;
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
      () => this.pace.review(),
      seq,
    );
    const old = [...this.clients].find((other) => other.clientId === clientId);
    const { cols, rows } = this.size.current;
    const named = request.cols !== null || request.rows !== null;
    client.size = named ? { cols: request.cols ?? cols, rows: request.rows ?? rows } : (old?.size ?? null);
    if (old) this.replace(old);
    if (!request.view && (!this.controller || this.controller === old)) this.takeControl(client);
    else if (old && this.controller === old) this.passControl();
    if (this.controller === client && client.size) this.size.set(client.size);
    const gap = after === null ? 0 : seq - after;
    return { client, seq, gap, replayUntil: this.ring.end, inputSeq: this.typing.taken(clientId) };
  }

  /** The output begins; a shell that has ended says so behind its tail. The others hear whose size counts now. */
  begin(client: AttachedClient): void {
    this.clients.add(client);
    this.fresh = false;
    this.size.apply();
    if (this.clients.size > 1) this.size.tell();
    if (this.exit) this.farewell(client, this.exit);
    else client.flush();
    this.pace.review();
  }

  detach(client: AttachedClient): void {
    client.gone();
    if (!this.clients.delete(client)) return;
    if (this.controller === client) {
      this.passControl();
      if (!this.controller) this.absent = { confirmed: client.confirmed, until: this.clock.millis() + STALL_MS };
    }
    this.pace.review();
  }

  /** Paints a client's terminal anew: its output goes on behind the painting. @throws Error when the screen cannot be had */
  async paint(client: AttachedClient): Promise<void> {
    client.beginPainting();
    try {
      const { seq, ...painting } = await this.screen.paint('ansi');
      client.send({ type: 'screen', seq, ...painting });
      client.goOn(seq);
    } finally {
      client.endPainting();
    }
  }

  /** The screen as it stands. @throws Error when it cannot be had */
  picture(format: ScreenFormat): Promise<ScreenAt> {
    return this.screen.paint(format);
  }

  resize(client: AttachedClient, cols: number, rows: number): void {
    client.size = { cols, rows };
    if (client === this.controller) this.size.change(client.size);
    else client.send(this.sizeMessage());
  }

  control(client: AttachedClient, action: 'take' | 'release'): void {
    if (action === 'take' && !client.view) {
      this.takeControl(client);
      this.adoptSize();
    } else if (action === 'release' && this.controller === client) this.passControl(client);
    this.size.tell();
    this.pace.review();
  }

  tell(message: Readonly<Record<string, unknown>>): void {
    for (const client of this.clients) client.send(message);
  }

  kill(): Promise<void> {
    this.release();
    return this.channel.kill();
  }

  /** It is about to end: nobody holds back what is before its end any more. Who is behind may lose what is not kept. */
  release(): void {
    this.released = true;
    this.pace.review();
  }

  /** Its environment is deleted: to its user it has ended, whatever the runtime has still to do. */
  deleted(): void {
    if (this.alive) this.end({ code: null, signal: null, reason: 'environment_stopped' });
  }

  /** The server leaves; where the runtime can, the shell stays. */
  leave(): void {
    for (const client of this.clients) client.gone();
    this.clients.clear();
    this.channel.detach();
    this.forget();
  }

  /** It goes on elsewhere, and so do its clients. */
  handOver(): void {
    for (const client of this.clients) this.sendOff(client);
    this.leave();
  }

  /** Nobody finds it any more. */
  forget(): void {
    this.screen.forget();
  }

  private pacedShell(): PacedShell {
    return {
      end: () => this.ring.end,
      limit: () => this.limit(),
      over: () => this.exit !== null,
      allow: (position) => this.channel.allow(position),
      heldUp: () => this.controller?.holdsUp(),
    };
  }

  /** The shell goes on as far as the one client that counts goes with it; nobody else slows it. */
  private limit(): number {
    const { controller, absent, bufferBytes } = this;
    const ahead = AHEAD_BYTES[this.clients.size > 0 ? 'attached' : this.fresh ? 'fresh' : 'detached'];
    const free = this.ring.end + Math.min(ahead, bufferBytes / 4);
    if (this.exit || this.released) return free;
    if (!controller)
      return absent !== null && this.clock.millis() < absent.until ? Math.min(free, absent.confirmed + bufferBytes / 2) : free;
    if (controller.stalled && this.clients.size > 1) return free;
    return Math.min(free, controller.limit, controller.confirmed + bufferBytes / 2);
  }

  /** @param history position up to which output is no news */
  private output(chunk: Buffer, history: number): void {
    this.screen.makeRoom(chunk.length);
    this.ring.append(chunk);
    const news = Math.min(chunk.length, this.ring.end - history);
    if (news > 0) {
      this.outputAt = this.clock.millis();
      this.listener.output(news);
    }
    for (const client of this.clients) client.wake();
    this.pace.review();
  }

  private end(exit: TerminalExit): void {
    this.exit = exit;
    this.exitedAt = this.clock.now();
    for (const client of this.clients) if (exit.elsewhere !== true) this.farewell(client, exit);
    if (exit.elsewhere === true) this.handOver();
    this.controller = null;
    this.listener.ended();
  }

  private farewell(client: AttachedClient, { code, signal, reason }: TerminalExit): void {
    client.finish({ type: 'exit', code, signal, reason }, reason === 'environment_stopped' ? CLOSE.gone : CLOSE.done, reason);
  }

  private sendOff(client: AttachedClient): void {
    client.send({ type: 'error', code: 'restarting', message: 'The session moves; connect again', ...comeBack() });
    client.close(CLOSE.restarting, 'restarting');
  }

  private replace(other: AttachedClient): void {
    other.send({ type: 'error', code: 'replaced', message: 'This client connected again' });
    other.close(CLOSE.replaced, 'replaced');
    this.clients.delete(other);
  }

  private takeControl(client: AttachedClient): void {
    this.controller = client;
    this.absent = null;
  }

  /** @param from who gives it up: it keeps it while nobody else is there to decide */
  private passControl(from: AttachedClient | null = null): void {
    const able = [...this.clients].filter(({ view }) => !view);
    this.controller = able.find((client) => client !== from) ?? able[0] ?? null;
    this.adoptSize();
    this.size.tell();
  }

  /** Who decides now has a size already, which it need not say again. */
  private adoptSize(): void {
    if (this.controller?.size) this.size.change(this.controller.size);
  }

  private sizeMessage(): Readonly<Record<string, unknown>> {
    return { type: 'size', ...this.size.current, owner: this.controller?.clientId ?? null };
  }
}
