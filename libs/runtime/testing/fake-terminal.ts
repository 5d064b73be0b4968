import {
  type InputMark,
  RuntimeError,
  type TerminalChannel,
  type TerminalExit,
  type TerminalRecord,
  type TerminalRequest,
  type TerminalSize,
} from '../src';

const KEPT_BYTES = 1_048_576;
/** Taken in of a paused shell, so that its end can come behind it. */
const WINDOW_BYTES = 65_536;

/**
 * A shell in memory: echoes what is typed with CR LF line ends and knows `echo X`, `seq N`, `stty size`, `write FILE X`, `cat FILE`
 * and `exit N`.
 */
export class FakeTerminal {
  /** Every resize that reached it, such as `80x24`. */
  readonly sizes: string[] = [];
  private size: TerminalSize;
  private kept = Buffer.alloc(0);
  private position = 0;
  private line = '';
  private readonly marks = new Map<string, number>();
  private listener: ((chunk: Buffer) => void) | null = null;
  /** Position up to which output may come; without a server all may. */
  private allowed = Infinity;
  /** Printed beyond it: the program's, not yet the terminal's. */
  private blocked: Buffer[] = [];
  private flowing = false;
  private exit: TerminalExit | null = null;
  /** Its end, behind more output than the window takes. */
  private pending: TerminalExit | null = null;
  private readonly ended: Promise<TerminalExit>;
  private settle: (exit: TerminalExit) => void = () => undefined;
  private endedAt: Date | null = null;

  constructor(
    private readonly request: TerminalRequest,
    private readonly createdAt: Date,
    private readonly files: Map<string, string>,
  ) {
    this.size = { cols: request.cols, rows: request.rows };
    this.ended = new Promise((resolve) => (this.settle = resolve));
  }

  record(): TerminalRecord {
    const { sessionId } = this.request;
    return {
      sessionId,
      ...this.size,
      createdAt: this.createdAt,
      position: this.position,
      exit: this.exit,
      endedAt: this.endedAt,
    };
  }

  channel(): TerminalChannel {
    const start = this.position - this.kept.length;
    const { kept } = this;
    const size = (): TerminalSize => this.size;
    return {
      sessionId: this.request.sessionId,
      createdAt: this.createdAt,
      get cols() {
        return size().cols;
      },
      get rows() {
        return size().rows;
      },
      start,
      kept: kept.length,
      inputMarks: new Map(this.marks),
      ended: this.ended,
      attach: (onOutput) => {
        // Who hears what was kept may allow more at once.
        this.allowed = this.position;
        if (this.kept.length > 0) onOutput(this.kept);
        this.listener = onOutput;
      },
      allow: (position) => {
        this.allowed = Math.max(this.allowed, position);
        this.unblock();
      },
      write: (bytes, mark) => this.write(bytes, mark),
      resize: (to) => {
        this.size = { cols: to.cols, rows: to.rows };
        this.sizes.push(`${to.cols}x${to.rows}`);
        return Promise.resolve();
      },
      kill: () => {
        this.end({ code: null, signal: 'SIGHUP', reason: 'killed' });
        return Promise.resolve();
      },
      detach: () => this.detach(),
      foregroundBusy: () => Promise.resolve(false),
    };
  }

  detach(): void {
    this.listener = null;
    this.allowed = Infinity;
    this.unblock();
  }

  print(data: Buffer): void {
    if (this.exit) return;
    this.blocked.push(data);
    this.unblock();
  }

  end(exit: TerminalExit): void {
    if (this.exit) return;
    if (Buffer.concat(this.blocked).length > WINDOW_BYTES) {
      this.pending ??= exit;
      return;
    }
    this.allowed = Infinity;
    for (const chunk of this.blocked.splice(0)) this.put(chunk);
    this.exit = exit;
    this.endedAt = new Date();
    this.settle(exit);
  }

  private put(data: Buffer): void {
    this.position += data.length;
    this.kept = Buffer.concat([this.kept, data]).subarray(-KEPT_BYTES);
    this.listener?.(data);
  }

  /** More may be allowed by what hears of it. */
  private unblock(): void {
    if (this.flowing) return;
    this.flowing = true;
    while (this.allowed > this.position) {
      const next = this.blocked.shift();
      if (!next) break;
      const now = Math.min(next.length, this.allowed - this.position);
      if (now < next.length) this.blocked.unshift(next.subarray(now));
      this.put(next.subarray(0, now));
    }
    this.flowing = false;
    if (this.pending) this.end(this.pending);
  }

  private async write(bytes: Buffer, mark?: InputMark): Promise<void> {
    await Promise.resolve();
    if (this.exit) throw new RuntimeError('gone', 'The shell has ended');
    let fresh = bytes;
    if (mark) {
      const taken = this.marks.get(mark.clientId) ?? 0;
      if (mark.seq <= taken) return;
      if (mark.span === undefined) fresh = bytes.subarray(Math.max(0, bytes.length - (mark.seq - taken)));
      this.marks.set(mark.clientId, mark.seq);
    }
    for (const part of fresh.toString('utf8').split(/(?<=[\r\n])/)) this.type(part);
  }

  private type(part: string): void {
    const isLine = part.endsWith('\n') || part.endsWith('\r');
    this.print(Buffer.from(isLine ? part.slice(0, -1) + '\r\n' : part));
    this.line += part;
    if (!isLine) return;
    const command = this.line.slice(0, -1);
    this.line = '';
    this.run(command);
  }

  private run(command: string): void {
    const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(command) ?? [];
    const say = (text: string): void => this.print(Buffer.from(`${text}\r\n`));
    switch (name) {
      case 'echo':
        say(rest);
        break;
      case 'seq':
        for (let at = 1; at <= Number(rest); at += 1) say(String(at));
        break;
      case 'stty':
        say(`${this.size.rows} ${this.size.cols}`);
        break;
      case 'write': {
        const [file = '', ...words] = rest.split(' ');
        this.files.set(file, words.join(' '));
        break;
      }
      case 'cat':
        say(this.files.get(rest) ?? `cat: ${rest}: No such file or directory`);
        break;
      case 'exit':
        this.end({ code: Number(rest) || 0, signal: null, reason: 'exited' });
        break;
      default:
        break;
    }
  }
}
