interface Skip {
  readonly bytes: number;
  /** Where the output goes on. */
  readonly to: number;
}

/**
 * Output that a client never gets. What was sent before it is under way all the same: positions before a skip move up to it, so that
 * the difference of two is what was sent between them.
 */
export class SkippedOutput {
  /** In order; what lies before all that is under way is forgotten. */
  private skips: Skip[] = [];

  /** @param delivered position, as `moved` gives it, up to which the client is known to have all */
  add(from: number, to: number, delivered: number): void {
    while (this.skips[0] && this.moved(this.skips[0].to) <= delivered) this.skips.shift();
    this.skips.push({ bytes: to - from, to });
  }

  /** @param seq a position as the client knows it, not beyond what it was sent */
  moved(seq: number): number {
    return this.skips.reduce((moved, { bytes, to }) => (moved < to ? Math.min(to, moved + bytes) : moved), seq);
  }
}
