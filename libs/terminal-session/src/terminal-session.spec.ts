import { ManualClock } from '@testing/kernel';
import { FakeTerminal } from '@testing/runtime';
import fc from 'fast-check';
import { InlineScreens } from '../testing/inline-screens';
import { type Attachment, TerminalSession } from './terminal-session';

const BUFFER = 65_536;
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A client that takes what it is sent when it is told to. */
class Phone {
  readonly messages: Record<string, unknown>[] = [];
  closed: number | null = null;
  private waiting: (() => void)[] = [];
  reads = true;
  deaf = false;
  /** Says what it has rendered. */
  acks = false;
  /** Bytes of output that it was sent and has not taken. */
  underWay = 0;
  attachment: Attachment | null = null;

  outlet = {
    send: (message: Readonly<Record<string, unknown>>): void => {
      this.messages.push({ ...message });
    },
    output: (parts: readonly Buffer[], seq: number, probe: boolean, sent: () => void): void => {
      const bytes = Buffer.concat(parts);
      this.messages.push({ type: 'output', data: bytes.toString('utf8'), seq });
      this.underWay += bytes.length;
      this.later(() => {
        this.underWay -= bytes.length;
        sent();
        if (this.acks) this.attachment?.client.ack(seq);
      });
      if (probe) this.outlet.probe(seq);
    },
    probe: (seq: number): void => this.later(() => this.attachment?.client.heard(seq)),
    close: (code: number): void => {
      this.closed = code;
    },
    isDeaf: (): boolean => this.deaf,
  };

  /** @param most things that it takes now */
  take(most = Infinity): void {
    for (let taken = 0; taken < most; taken += 1) {
      const next = this.waiting.shift();
      if (!next) break;
      next();
    }
  }

  get text(): string {
    return this.messages.map(({ type, data }) => (type === 'output' ? String(data) : '')).join('');
  }

  of(type: string): Record<string, unknown>[] {
    return this.messages.filter((message) => message.type === type);
  }

  private later(act: () => void): void {
    this.waiting.push(act);
    if (this.reads) queueMicrotask(() => this.take());
  }
}

function world(bufferBytes = BUFFER): {
  clock: ManualClock;
  terminal: FakeTerminal;
  session: TerminalSession;
  screens: InlineScreens;
  attach: (
    phone: Phone,
    options?: {
      clientId?: string;
      after?: number | null;
      view?: boolean;
      acks?: boolean;
      cols?: number | null;
      rows?: number | null;
    },
  ) => Attachment | null;
} {
  const clock = new ManualClock();
  const terminal = new FakeTerminal({ sessionId: 's', cols: 80, rows: 24 }, clock.now(), new Map());
  const nobody = { output: () => undefined, typed: () => undefined, ended: () => undefined };
  const screens = new InlineScreens(clock);
  const session = new TerminalSession(terminal.channel(), 'e', bufferBytes, clock, nobody, screens);
  return {
    screens,
    clock,
    terminal,
    session,
    attach: (phone, { clientId = 'a', after = null, view = false, acks = false, cols = 80, rows = 24 } = {}) => {
      phone.attachment = session.attach({ clientId, cols, rows, after, acks, view, outlet: phone.outlet });
      if (phone.attachment) session.begin(phone.attachment.client);
      return phone.attachment;
    },
  };
}

async function advance(clock: ManualClock, ms: number): Promise<void> {
  await settle(); // what is about to wait does
  clock.push(ms);
  await settle();
}

describe('a session', () => {
  it('gives all there is to one that takes it, however long it took before', async () => {
    // Once as fast as can be, so that the window is large, then anything: it may become small at any moment.
    const step = fc.record({
      bytes: fc.integer({ min: 1, max: 30_000 }),
      ms: fc.constantFrom(1, 1, 20, 500, 6_000),
      takes: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const { clock, terminal, attach } = world(1_048_576);
        const phone = new Phone();
        attach(phone);
        terminal.print(Buffer.alloc(400_000, 'f'));
        await advance(clock, 5);
        let printed = 400_000;
        for (const { bytes, ms, takes } of steps) {
          phone.reads = false;
          terminal.print(Buffer.alloc(bytes, 's'));
          printed += bytes;
          await advance(clock, ms);
          if (takes) phone.take();
        }
        phone.reads = true;
        phone.take();
        for (let n = 0; n < 5; n += 1) await advance(clock, 500);
        expect(phone.text.length).toBe(printed);
      }),
      { numRuns: 50 },
    );
  });

  it('gives a client that comes back exactly what it missed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ text: fc.string({ unit: 'grapheme', maxLength: 30 }), cut: fc.boolean() }), { maxLength: 40 }),
        async (steps) => {
          const { clock, terminal, session, attach } = world();
          let phone = new Phone();
          attach(phone);
          let assembled = '';
          let seq = 0;
          for (const { text, cut } of steps) {
            terminal.print(Buffer.from(text));
            await advance(clock, 3);
            if (!cut || !phone.attachment) continue;
            assembled += phone.text;
            seq = Number(phone.of('output').at(-1)?.seq ?? seq);
            session.detach(phone.attachment.client);
            phone = new Phone();
            expect(attach(phone, { after: seq })?.gap).toBe(0);
          }
          await advance(clock, 500);
          expect(assembled + phone.text).toBe(steps.map(({ text }) => text).join(''));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('never hands over half a character, but does not wait for the rest for ever', async () => {
    const { clock, terminal, attach } = world();
    const phone = new Phone();
    attach(phone);
    const smile = Buffer.from('😀');
    terminal.print(smile.subarray(0, 2));
    await advance(clock, 20);
    expect(phone.text).toBe('');
    terminal.print(smile.subarray(2));
    await advance(clock, 20);
    expect(phone.text).toBe('😀');
    terminal.print(smile.subarray(0, 3));
    await advance(clock, 20);
    await advance(clock, 300);
    await advance(clock, 300);
    expect(phone.text).toBe('😀\ufffd');
    expect(phone.of('output').at(-1)?.seq).toBe(7);
  });

  it('lets a new shell print no more than its first client, whose way may be slow, is sent at once', async () => {
    const { clock, terminal, attach } = world(1_048_576);
    const slow = new Phone();
    slow.reads = false;
    attach(slow);
    terminal.print(Buffer.alloc(100_000, 'x'));
    await advance(clock, 100);
    expect(terminal.record().position).toBeLessThanOrEqual(16_384);
  });

  it('sends an echo at once and gathers a flood', async () => {
    const { clock, terminal, attach } = world(4 * 1_048_576);
    const phone = new Phone();
    attach(phone);
    for (const key of 'echo') {
      terminal.print(Buffer.from(key));
      expect(phone.text.endsWith(key)).toBe(true);
    }
    const print = async (bytes: number): Promise<void> => {
      const until = terminal.record().position + bytes;
      for (let chunk = 0; chunk < bytes / 4096; chunk += 1) terminal.print(Buffer.alloc(4096, 'x'));
      while (Number(phone.of('output').at(-1)?.seq) < until) await advance(clock, 1);
    };
    await print(2 * 1_048_576);
    const frames = phone.of('output').length;
    await print(2 * 1_048_576);
    expect(phone.of('output').length - frames).toBeLessThan(2 * 32);
  });

  it('slows the shell for its controller, and goes on without it after 5 s beside others', async () => {
    const { clock, terminal, attach } = world();
    const slow = new Phone();
    slow.reads = false;
    attach(slow, { acks: true });
    const viewer = new Phone();
    attach(viewer, { clientId: 'b', view: true });
    for (let chunk = 0; chunk < 40; chunk += 1) terminal.print(Buffer.alloc(4096, 'x'));
    await settle();
    const before = terminal.record().position;
    expect(before).toBeLessThan(40 * 4096);
    await advance(clock, 5_000);
    await advance(clock, 10);
    expect(terminal.record().position).toBe(40 * 4096);
  });

  it('tells a viewer that fell behind what it missed', async () => {
    const { clock, terminal, attach } = world();
    const fast = new Phone();
    attach(fast);
    const viewer = new Phone();
    viewer.reads = false;
    attach(viewer, { clientId: 'v', view: true });
    for (let round = 0; round < 12; round += 1) {
      terminal.print(Buffer.alloc(BUFFER / 2, String(round % 10)));
      await advance(clock, 10);
    }
    while (fast.text.length < 12 * (BUFFER / 2)) await advance(clock, 10);
    viewer.reads = true;
    viewer.take();
    for (let round = 0; round < 20; round += 1) await advance(clock, 10);
    const skipped = viewer.of('gap').reduce((sum, { bytes }) => sum + Number(bytes), 0);
    const received = viewer.of('output').reduce((sum, { data }) => sum + String(data).length, 0);
    expect(skipped).toBeGreaterThan(0);
    expect(skipped + received).toBe(12 * (BUFFER / 2));
    expect(fast.of('gap')).toEqual([]);
    expect(fast.text).toHaveLength(12 * (BUFFER / 2));
  });

  it('gives one that fell behind no more at a time than one that keeps up, whatever it skips', async () => {
    const { clock, terminal, attach } = world(1_048_576);
    attach(new Phone(), { clientId: 'controller' });
    const viewer = new Phone();
    viewer.reads = false;
    attach(viewer, { clientId: 'v', view: true });
    for (let round = 0; round < 40; round += 1) {
      terminal.print(Buffer.alloc(262_144, 'x'));
      for (let turn = 0; turn < 5; turn += 1) await advance(clock, 10);
    }
    expect(terminal.record().position).toBe(40 * 262_144);
    expect(viewer.text).toHaveLength(16_384);
    expect(viewer.of('gap')).toEqual([]);
  });

  it('keeps a viewer with gaps to its window of acks', async () => {
    const { clock, terminal, attach } = world();
    attach(new Phone(), { clientId: 'controller' });
    const viewer = new Phone();
    attach(viewer, { clientId: 'v', view: true, acks: true });
    for (let round = 0; round < 200; round += 1) {
      terminal.print(Buffer.alloc(16_384, 'x'));
      // It reads, but in bursts, so that it skips; it never says that it rendered anything.
      viewer.reads = round % 10 === 0;
      if (viewer.reads) viewer.take();
      await advance(clock, 10);
    }
    expect(viewer.of('gap').length).toBeGreaterThan(1);
    expect(viewer.text).toHaveLength(262_144);
    viewer.reads = true;
    viewer.take();
    const before = viewer.text.length;
    viewer.attachment?.client.ack(Number(viewer.of('output').at(-1)?.seq));
    await advance(clock, 10);
    expect(viewer.text.length).toBeGreaterThan(before);
  });

  it('drains a shell that nobody looks at', async () => {
    const { clock, terminal, session, attach } = world();
    const phone = new Phone();
    attach(phone);
    if (phone.attachment) session.detach(phone.attachment.client);
    for (let chunk = 0; chunk < 40; chunk += 1) terminal.print(Buffer.alloc(4096, 'x'));
    await advance(clock, 5_001);
    expect(terminal.record().position).toBe(40 * 4096);
    const back = new Phone();
    const attachment = attach(back, { after: 0 });
    expect(attachment?.gap).toBe(40 * 4096 - BUFFER);
    expect(attachment?.seq).toBe(40 * 4096 - BUFFER);
  });

  it('takes numbered input once, in order, over any repetition', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.stringMatching(/^[a-z]{1,5}$/), { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(100)),
        async (words, repeats) => {
          const { terminal, session, attach } = world();
          const phone = new Phone();
          attach(phone);
          const client = phone.attachment?.client;
          if (!client) throw new Error('not attached');
          let seq = 0;
          const pieces = words.map((word) => ({ word, seq: (seq += word.length) }));
          for (const [index, piece] of pieces.entries()) {
            expect(await session.typing.input(client, Buffer.from(piece.word), piece.seq)).toBeNull();
            const again = pieces[(repeats[index] ?? 0) % (index + 1)];
            if (again) expect(await session.typing.input(client, Buffer.from(again.word), again.seq)).toBeNull();
          }
          expect(terminal.record().position).toBe(words.join('').length);
          expect(phone.text.slice(0, 1)).toBe(words.join('').slice(0, 1));
          expect(await session.typing.input(client, Buffer.from('x'), seq + 5)).toMatchObject({
            code: 'input_gap',
            expected: seq,
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  it('belongs to its controller: size, control, viewers', async () => {
    const { session, attach, terminal, clock } = world();
    const first = new Phone();
    const second = new Phone();
    attach(first, { clientId: 'a', cols: 100, rows: 40 });
    attach(second, { clientId: 'b', cols: 50, rows: 20 });
    expect(terminal.record()).toMatchObject({ cols: 100, rows: 40 });
    const b = second.attachment?.client;
    if (!b || !first.attachment) throw new Error('not attached');
    session.resize(b, 50, 20);
    expect(second.of('size').at(-1)).toMatchObject({ cols: 100, rows: 40, owner: 'a' });
    session.control(b, 'take');
    session.resize(b, 50, 20);
    await advance(clock, 20);
    expect(terminal.record()).toMatchObject({ cols: 50, rows: 20 });
    session.detach(b);
    await advance(clock, 20);
    expect(first.of('size').at(-1)).toMatchObject({ owner: 'a' });
    const viewer = new Phone();
    attach(viewer, { clientId: 'v', view: true });
    const v = viewer.attachment?.client;
    if (v) expect(await session.typing.input(v, Buffer.from('x'), null)).toMatchObject({ code: 'read_only' });
  });

  it('has the size of who decides, without that it says it again', async () => {
    const { session, attach, terminal, clock } = world();
    const [desk, phone] = [new Phone(), new Phone()];
    attach(desk, { clientId: 'desk', cols: 100, rows: 40 });
    attach(phone, { clientId: 'phone', cols: 50, rows: 20 });
    const [d, p] = [desk.attachment?.client, phone.attachment?.client];
    if (!d || !p) throw new Error('not attached');
    const now = async (): Promise<unknown> => {
      await advance(clock, 100);
      const { cols, rows } = terminal.record();
      return [cols, rows, phone.of('size').at(-1)];
    };
    session.control(p, 'take');
    expect(await now()).toEqual([50, 20, { type: 'size', cols: 50, rows: 20, owner: 'phone' }]);
    session.control(d, 'take');
    session.resize(p, 60, 30);
    expect(await now()).toEqual([100, 40, { type: 'size', cols: 100, rows: 40, owner: 'desk' }]);
    session.detach(d);
    expect(await now()).toEqual([60, 30, { type: 'size', cols: 60, rows: 30, owner: 'phone' }]);
  });

  it('is decided on by another when the first to come releases it, and by the same while there is no other', async () => {
    const { session, attach, terminal, clock } = world();
    const [first, second, viewer] = [new Phone(), new Phone(), new Phone()];
    attach(first, { clientId: 'a', cols: 100, rows: 40 });
    attach(viewer, { clientId: 'v', view: true });
    const client = first.attachment?.client;
    if (!client) throw new Error('not attached');
    session.control(client, 'release');
    await advance(clock, 100);
    expect(first.of('size').at(-1)).toMatchObject({ owner: 'a' });
    attach(second, { clientId: 'b', cols: 50, rows: 20 });
    session.control(client, 'release');
    await advance(clock, 100);
    expect(first.of('size').at(-1)).toEqual({ type: 'size', cols: 50, rows: 20, owner: 'b' });
    expect(terminal.record()).toMatchObject({ cols: 50, rows: 20 });
  });

  it('resizes the PTY no more often than a program can repaint, and to the last size in the end', async () => {
    const { session, attach, terminal, clock } = world();
    const phone = new Phone();
    attach(phone);
    const client = phone.attachment?.client;
    if (!client) throw new Error('not attached');
    for (let cols = 81; cols <= 180; cols += 1) session.resize(client, cols, 24);
    await advance(clock, 100);
    expect(terminal.sizes).toEqual(['81x24', '180x24']);
    expect(phone.of('size').map(({ cols }) => cols)).toEqual([81, 180]);
    session.resize(client, 90, 24);
    await settle();
    session.resize(client, 91, 24);
    session.resize(client, 90, 24);
    await advance(clock, 100);
    expect(terminal.sizes).toEqual(['81x24', '180x24', '90x24']);
  });

  it('replaces the old socket of a client that connects again', () => {
    const { session, attach } = world();
    const old = new Phone();
    attach(old, { clientId: 'same' });
    const fresh = new Phone();
    attach(fresh, { clientId: 'same' });
    expect(old.closed).toBe(4408);
    expect(session.attached).toBe(1);
  });

  it('that another server took over sends its clients there, and tells of no end', async () => {
    const { attach, terminal } = world();
    const phone = new Phone();
    attach(phone);
    terminal.end({ code: null, signal: null, reason: 'killed', elsewhere: true });
    await settle();
    expect([phone.closed, phone.of('exit')]).toEqual([1012, []]);
    expect(phone.of('error')).toMatchObject([{ code: 'restarting', retry_after_ms: expect.any(Number) as number }]);
  });

  it('keeps its tail and exit for who comes late', async () => {
    const { session, attach, terminal, clock } = world();
    const phone = new Phone();
    attach(phone);
    terminal.print(Buffer.from('last words'));
    terminal.end({ code: 3, signal: null, reason: 'exited' });
    await advance(clock, 10);
    expect([phone.of('exit')[0], phone.closed]).toEqual([{ type: 'exit', code: 3, signal: null, reason: 'exited' }, 1000]);
    const late = new Phone();
    attach(late, { clientId: 'late' });
    expect([late.text, late.of('exit').length, late.closed]).toEqual(['last words', 1, 1000]);
    expect(attach(new Phone(), { after: 999 })).toBeNull();
    expect(session.alive).toBe(false);
  });

  /** Prints far more than the controller confirms. */
  function flood(terminal: FakeTerminal): void {
    for (let chunk = 0; chunk < 40; chunk += 1) terminal.print(Buffer.alloc(4096, 'x'));
  }

  it.each<[string, (session: TerminalSession) => unknown]>([
    ['its environment ends', (session) => session.release()],
    ['it is killed', (session) => session.kill()],
  ])('is not kept from its end by a client that does not read: %s', async (_what, end) => {
    const { clock, terminal, session, attach } = world();
    const deaf = new Phone();
    attach(deaf, { acks: true });
    flood(terminal);
    await advance(clock, 100);
    expect(terminal.record().position).toBeLessThan(40 * 4096);
    await end(session);
    terminal.end({ code: null, signal: 'SIGHUP', reason: 'environment_stopped' });
    for (let second = 0; second < 6; second += 1) await advance(clock, 1_000);
    expect(session.alive).toBe(false);
    expect([deaf.of('exit').length, deaf.of('gap').length > 0]).toEqual([1, true]);
    expect(deaf.closed).not.toBeNull();
  });

  it('drains a shell whose stalled controller left later than it stalled', async () => {
    const { clock, terminal, session, attach } = world();
    const slow = new Phone();
    attach(slow, { acks: true });
    flood(terminal);
    await advance(clock, 3_000);
    if (slow.attachment) session.detach(slow.attachment.client);
    for (let second = 0; second < 7; second += 1) await advance(clock, 1_000);
    expect(terminal.record().position).toBe(40 * 4096);
  });

  it('goes on beside a controller that took something after it fell behind', async () => {
    const { clock, terminal, attach } = world();
    const slow = new Phone();
    attach(slow, { acks: true });
    attach(new Phone(), { clientId: 'b' });
    flood(terminal);
    for (const seq of [100, 200, 300]) {
      await advance(clock, 1_000);
      slow.attachment?.client.ack(seq);
    }
    for (let second = 0; second < 7; second += 1) await advance(clock, 1_000);
    expect(terminal.record().position).toBe(40 * 4096);
  });

  it('takes no repeated, receding or early ack for progress', async () => {
    const { clock, terminal, attach } = world();
    const slow = new Phone();
    attach(slow, { acks: true });
    attach(new Phone(), { clientId: 'b' });
    flood(terminal);
    slow.attachment?.client.ack(100);
    for (let second = 0; second < 7; second += 1) {
      for (const seq of [100, 0]) slow.attachment?.client.ack(seq);
      await advance(clock, 1_000);
    }
    expect(terminal.record().position).toBe(40 * 4096);
    slow.attachment?.client.ack(Number.MAX_SAFE_INTEGER);
    expect(slow.attachment?.client.acked).toBe(slow.attachment?.client.position);
  });

  it('waits for no ack of who cannot be heard, because its input waits for the shell', async () => {
    const { clock, terminal, attach } = world(4 * 1_048_576);
    const phone = new Phone();
    attach(phone, { acks: true });
    terminal.print(Buffer.alloc(1_048_576, 'x'));
    await advance(clock, 100);
    expect(phone.text).toHaveLength(262_144);
    phone.deaf = true;
    phone.attachment?.client.wake();
    await advance(clock, 100);
    expect(phone.text).toHaveLength(1_048_576);
  });

  it('says nothing before the welcome, also to one of another size', async () => {
    const { clock, session, attach } = world();
    const before = attach(new Phone());
    if (before) session.detach(before.client);
    await advance(clock, 100);
    const other = new Phone();
    const attachment = session.attach({
      clientId: 'a',
      cols: 100,
      rows: 30,
      after: null,
      acks: false,
      view: false,
      outlet: other.outlet,
    });
    expect(other.messages).toEqual([]);
    expect(session.describe()).toMatchObject({ cols: 100, rows: 30 });
    if (attachment) session.begin(attachment.client);
  });

  it('leaves control, and the size unless it names one, with the controller that connects again', async () => {
    const { clock, terminal, session, attach } = world();
    attach(new Phone(), { clientId: 'phone', cols: 100, rows: 30 });
    const other = new Phone();
    attach(other, { clientId: 'desk' });
    const again = new Phone();
    attach(new Phone(), { clientId: 'phone', cols: null, rows: null });
    expect(session.describe()).toMatchObject({ cols: 100, rows: 30 });
    attach(again, { clientId: 'phone', cols: 50, rows: 20 });
    await advance(clock, 100);
    expect(terminal.record()).toMatchObject({ cols: 50, rows: 20 });
    expect(other.of('size').at(-1)).toMatchObject({ cols: 50, rows: 20, owner: 'phone' });
    if (again.attachment) session.detach(again.attachment.client);
    await advance(clock, 100);
    expect(other.of('size').at(-1)).toMatchObject({ owner: 'desk' });
  });

  it('keeps to the window of acks at its end too, but does not wait for ever', async () => {
    const { clock, terminal, session, attach } = world(4 * 1_048_576);
    const [heeding, deaf] = [new Phone(), new Phone()];
    attach(heeding, { clientId: 'a', acks: true });
    attach(deaf, { clientId: 'b', acks: true });
    terminal.print(Buffer.alloc(1_048_576, 'x'));
    terminal.end({ code: 0, signal: null, reason: 'exited' });
    await advance(clock, 10);
    for (let second = 0; second < 3; second += 1) {
      const { client } = heeding.attachment ?? {};
      expect([heeding, deaf].map(({ closed }) => closed)).toEqual([null, null]);
      expect(Number(client?.position) - Number(client?.acked)).toBeLessThanOrEqual(262_144);
      client?.ack(client.position);
      await advance(clock, 1_000);
    }
    expect([heeding.text.length, heeding.of('exit').length, heeding.closed]).toEqual([1_048_576, 1, 1000]);
    await advance(clock, 2_000);
    expect([deaf.text.length, deaf.of('exit').length, deaf.closed]).toEqual([1_048_576, 1, 1000]);
    expect(session.alive).toBe(false);
  });

  it('is found only with the output that was kept, which is no news', async () => {
    const before = new FakeTerminal({ sessionId: 's', cols: 80, rows: 24 }, new Date(0), new Map());
    before.print(Buffer.from('before'));
    let hand: (chunk: Buffer) => void = () => undefined;
    const channel = Object.assign(before.channel(), { attach: (onOutput: (chunk: Buffer) => void) => (hand = onOutput) });
    const news: number[] = [];
    const listener = { output: (bytes: number) => news.push(bytes), typed: () => undefined, ended: () => undefined };
    const session = new TerminalSession(channel, 'e', BUFFER, new ManualClock(), listener, new InlineScreens(new ManualClock()));
    let here = false;
    void session.restored.then(() => (here = true));
    hand(Buffer.from('bef'));
    await settle();
    expect([here, session.describe().lastOutputAt]).toEqual([false, null]);
    hand(Buffer.from('ore and after'));
    await settle();
    expect([here, news]).toEqual([true, [' and after'.length]]);
  });

  it('is found without it when what is said to be kept does not come', async () => {
    const clock = new ManualClock();
    const channel = Object.assign(new FakeTerminal({ sessionId: 's', cols: 80, rows: 24 }, new Date(0), new Map()).channel(), {
      kept: 9,
    });
    const listener = { output: () => undefined, typed: () => undefined, ended: () => undefined };
    const { restored } = new TerminalSession(channel, 'e', BUFFER, clock, listener, new InlineScreens(clock));
    await advance(clock, 10_000);
    await restored;
  });

  it('forgets the client whose input is longest ago, never one that types', async () => {
    const { session, attach } = world();
    const phone = new Phone();
    attach(phone, { clientId: 'phone' });
    const type = async (who: Phone, seq: number): Promise<unknown> =>
      who.attachment && session.typing.input(who.attachment.client, Buffer.from('x'), seq);
    expect(await type(phone, 1)).toBeNull();
    for (let visitor = 0; visitor < 300; visitor += 1) {
      const other = new Phone();
      attach(other, { clientId: `visitor-${visitor}` });
      expect(await type(other, 1)).toBeNull();
      if (other.attachment) session.detach(other.attachment.client);
      expect(await type(phone, visitor + 2)).toBeNull();
    }
    expect(attach(new Phone(), { clientId: 'visitor-0' })?.inputSeq).toBe(0);
    expect(attach(new Phone(), { clientId: 'phone' })?.inputSeq).toBe(301);
  });

  describe('a screen', () => {
    it('comes before the output that it does not cover, and instead of what it covers', async () => {
      const { terminal, session, attach } = world();
      const phone = new Phone();
      attach(phone);
      terminal.print(Buffer.from('seen '));
      phone.messages.length = 0;
      const painted = phone.attachment ? session.paint(phone.attachment.client) : null;
      terminal.print(Buffer.from('behind'));
      expect(phone.messages).toEqual([]);
      await painted;
      expect(phone.messages).toMatchObject([
        { type: 'screen', seq: 5, cols: 80, rows: 24 },
        { type: 'output', data: 'behind', seq: 11 },
      ]);
      expect(phone.of('screen')[0]?.data).toContain('seen');
    });

    it('takes a client that is behind to where it stands', async () => {
      const { clock, terminal, session, attach } = world();
      const slow = new Phone();
      attach(new Phone(), { clientId: 'controller' });
      attach(slow, { view: true });
      slow.reads = false;
      for (let turn = 0; turn < 100; turn += 1) {
        terminal.print(Buffer.from('x'.repeat(1_000)));
        await advance(clock, 20);
      }
      const sent = slow.messages.length;
      expect(slow.text.length).toBeLessThan(100_000);
      if (slow.attachment) await session.paint(slow.attachment.client);
      expect(slow.messages.slice(sent)).toMatchObject([{ type: 'screen', seq: 100_000 }]);
      slow.reads = true;
      slow.take();
      terminal.print(Buffer.from('on'));
      expect(slow.messages.slice(sent + 1)).toMatchObject([{ type: 'output', data: 'on', seq: 100_002 }]);
    });

    it('comes soon also to one whose way has carried little of a flood', async () => {
      const { clock, terminal, session, attach } = world(1_048_576);
      attach(new Phone(), { clientId: 'controller' });
      const slow = new Phone();
      slow.reads = false;
      attach(slow, { clientId: 'slow' });
      for (let round = 0; round < 40; round += 1) {
        terminal.print(Buffer.alloc(262_144, 'x'));
        await advance(clock, 20);
        slow.take(1);
      }
      if (slow.attachment) await session.paint(slow.attachment.client);
      expect(slow.messages.at(-1)).toMatchObject({ type: 'screen', seq: session.kept.end });
      expect(slow.underWay).toBeLessThanOrEqual(16_384);
      expect(slow.of('gap').length).toBeLessThanOrEqual(slow.of('output').length);
    });

    it('and gaps account for every byte, in order, and no more is under way than the window', async () => {
      const step = fc.oneof(
        { weight: 6, arbitrary: fc.record({ prints: fc.integer({ min: 1, max: 40_000 }) }) },
        { weight: 4, arbitrary: fc.record({ takes: fc.integer({ min: 1, max: 30 }) }) },
        { weight: 3, arbitrary: fc.record({ ms: fc.constantFrom(1, 20, 500) }) },
        { weight: 2, arbitrary: fc.record({ paints: fc.constantFrom('at once', 'meanwhile') }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, acks) => {
          const { clock, terminal, session, attach } = world();
          attach(new Phone(), { clientId: 'controller' });
          const phone = new Phone();
          phone.reads = false;
          phone.acks = acks;
          attach(phone, { clientId: 'v', view: true, acks });
          const client = phone.attachment?.client;
          if (!client) throw new Error('not attached');
          let printed = '';
          const paintings: Promise<void>[] = [];
          for (const doing of steps) {
            if ('prints' in doing) {
              const text = Array.from({ length: doing.prints }, (_, at) =>
                String.fromCharCode(97 + ((printed.length + at) % 23)),
              );
              printed += text.join('');
              terminal.print(Buffer.from(text.join('')));
            } else if ('takes' in doing) phone.take(doing.takes);
            else if ('ms' in doing) await advance(clock, doing.ms);
            else {
              paintings.push(session.paint(client));
              if (doing.paints === 'at once') await Promise.all(paintings);
            }
            expect(phone.underWay).toBeLessThanOrEqual(BUFFER / 2);
          }
          await Promise.all(paintings);
          phone.reads = true;
          for (let turn = 0; turn < 30; turn += 1) {
            phone.take();
            await advance(clock, 500);
          }
          let at = 0;
          for (const { type, seq, bytes, data } of phone.messages) {
            if (type === 'output') expect(data).toBe(printed.slice(at, (at += String(data).length)));
            else if (type === 'gap') at += Number(bytes);
            else if (type === 'screen') at = Math.max(at, Number(seq));
            else continue;
            expect(seq).toBe(at);
          }
          expect(at).toBe(printed.length);
          expect(phone.underWay).toBe(0);
        }),
        { numRuns: 60 },
      );
    });

    it('leaves out a character that is not complete, which follows as a whole', async () => {
      const { terminal, session, attach } = world();
      const phone = new Phone();
      attach(phone);
      terminal.print(Buffer.from('漢字').subarray(0, 4));
      if (phone.attachment) await session.paint(phone.attachment.client);
      expect(phone.of('screen')[0]).toMatchObject({ seq: 3 });
      terminal.print(Buffer.from('字').subarray(1));
      expect(phone.messages.at(-1)).toMatchObject({ type: 'output', data: '字', seq: 6 });
    });

    it('of a shell that has ended comes before its end', async () => {
      const { terminal, session, attach } = world();
      const phone = new Phone();
      attach(phone);
      terminal.print(Buffer.from('last words'));
      const painted = phone.attachment ? session.paint(phone.attachment.client) : null;
      terminal.end({ code: 3, signal: null, reason: 'exited' });
      await settle();
      await painted;
      expect(phone.messages.slice(-2)).toMatchObject([{ type: 'screen' }, { type: 'exit', code: 3 }]);
      expect(phone.closed).toBe(1000);
      expect((await session.picture('text')).data).toMatch(/^last words\n/);
    });

    it('that cannot be had lets the output go on', async () => {
      const { terminal, session, attach, screens } = world();
      const phone = new Phone();
      attach(phone);
      screens.paint = () => Promise.reject(new Error('no'));
      const painted = phone.attachment ? session.paint(phone.attachment.client) : null;
      terminal.print(Buffer.from('on'));
      await expect(painted).rejects.toThrow('no');
      expect(phone.text).toBe('on');
    });
  });
});
