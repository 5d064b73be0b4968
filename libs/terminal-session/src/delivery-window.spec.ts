import { DeliveryWindow } from './delivery-window';

/** A flood without end through a way of a rate and a delay. */
class Way {
  readonly window = new DeliveryWindow(0);
  private position = 0;
  private arrived = 0;
  private now = 0;
  readonly rooms = new Set<number>();
  private answers: { readonly seq: number; readonly at: number }[] = [];
  private probes: number[] = [];

  /** @returns the window, and bytes a ms that came through, of the last 10 s or half */
  flow(bytesPerMs: number, delayMs: number, forMs: number): { size: number; rate: number } {
    const { window, answers, probes } = this;
    const end = this.now + forMs;
    const measured = Math.min(10_000, forMs / 2);
    let before = 0;
    for (; this.now < end; this.now += 1) {
      this.arrived = Math.min(this.position, this.arrived + bytesPerMs);
      while (probes[0] !== undefined && probes[0] <= this.arrived)
        answers.push({ seq: probes.shift() ?? 0, at: this.now + delayMs });
      while (answers[0] && answers[0].at <= this.now) window.heard(answers.shift()?.seq ?? 0, this.now);
      for (let room = window.room(this.position); room > 0; room = window.room(this.position)) {
        this.rooms.add(room);
        this.position += Math.min(room, 65_536);
        if (!window.isDue(this.position)) continue;
        window.probed(this.position, this.now);
        probes.push(this.position);
      }
      if (this.now === end - measured) before = this.arrived;
    }
    return { size: window.size, rate: (this.arrived - before) / measured };
  }
}

describe('the window of output that is under way', () => {
  it('opens to 256 KiB on a fast way, and fills it', () => {
    const { size, rate } = new Way().flow(60_000, 1, 2_000);
    expect(size).toBe(262_144);
    expect(rate).toBeGreaterThan(55_000);
  });

  it('keeps what waits on a slow way below what it carries in 200 ms, and the way full', () => {
    for (const [bytesPerMs, delayMs] of [
      [8, 600],
      [125, 50],
      [1_000, 20],
    ] as const) {
      const { size, rate } = new Way().flow(bytesPerMs, delayMs, 20_000);
      expect(size).toBeLessThan(Math.max(4_097, bytesPerMs * (delayMs + 200)));
      expect(rate).toBeGreaterThan(bytesPerMs * 0.85);
    }
  });

  it('follows a way that becomes slower and then faster', () => {
    const way = new Way();
    expect(way.flow(10_000, 5, 3_000).size).toBe(262_144);
    expect(way.flow(8, 300, 90_000).size).toBeLessThan(8 * 700);
    expect(way.flow(10_000, 5, 3_000).size).toBe(262_144);
    expect(way.flow(10_000, 250, 20_000).size).toBe(262_144);
  });

  it('has room for whole bytes', () => {
    const way = new Way();
    for (const [bytesPerMs, delayMs] of [
      [700, 30],
      [8, 300],
      [97, 11],
    ] as const)
      way.flow(bytesPerMs, delayMs, 20_000);
    expect([...way.rooms].filter((room) => !Number.isInteger(room))).toEqual([]);
  });

  it('opens for a shell that prints no further than it, and for no other that did not fill it', () => {
    const grown = (printed: (window: DeliveryWindow) => number): number => {
      const window = new DeliveryWindow(0);
      const end = printed(window);
      window.probed(end, 0);
      window.heldUp(end);
      window.heard(end, 1);
      return window.size;
    };
    expect(grown(({ limit }) => limit)).toBe(32_768);
    expect(grown(({ limit }) => limit - 1)).toBe(16_384);
  });

  it('takes nothing for delivered because something was skipped behind it', () => {
    const window = new DeliveryWindow(0);
    const sent = window.size - 512;
    window.probed(sent, 0);
    expect(window.room(sent)).toBe(0);
    window.skipped(1_000_000);
    expect(window.room(sent + 1_000_000)).toBe(0);
    expect(window.heard(sent + 1_000_000, 100)).toBe(true);
    expect(window.room(sent + 1_000_000)).toBeGreaterThan(0);
    expect(window.size).toBe(32_768);
  });

  it('believes no answer to what was not asked for more than its position, and none twice', () => {
    const window = new DeliveryWindow(100);
    window.probed(5_000, 0);
    expect(window.heard(5_000, 1)).toBe(true);
    expect(window.heard(5_000, 2)).toBe(false);
    expect(window.heard(50, 2)).toBe(false);
    expect(window.delivered).toBe(5_000);
  });
});
