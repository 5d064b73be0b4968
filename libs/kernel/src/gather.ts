/** What goes at once within 4 ms; beyond it more is waited for. */
const AT_ONCE_BYTES = 16_384;
const WAIT_MS = 4;
const BYTES_A_MS = AT_ONCE_BYTES / WAIT_MS;
/** How much of a flood is remembered: nothing waits longer than 4 ms for it. */
const MOST_REMEMBERED_BYTES = 2 * AT_ONCE_BYTES;
/** What a client gets at most in one message (contract §6). */
export const PIECE_BYTES = 65_536;

/**
 * When gathered output is due: an echo at once, a flood in large pieces. By volume and not by a timer alone: what follows a key is
 * small, whatever its rhythm, and must not wait. What was sent runs off steadily, so that a flood has no small pieces in between.
 */
export class Gather {
  private recent = 0;
  private recentAt = 0;

  /** @param pieceBytes a full piece, which never waits */
  constructor(private readonly pieceBytes: number = PIECE_BYTES) {}

  /** @param pending bytes gathered @returns whole milliseconds until they are due, as timers count, 0 for now */
  wait(pending: number, nowMs: number): number {
    return pending >= this.pieceBytes ? 0 : Math.ceil(Math.max(0, this.left(nowMs) - AT_ONCE_BYTES) / BYTES_A_MS);
  }

  sent(bytes: number, nowMs: number): void {
    this.recent = Math.min(MOST_REMEMBERED_BYTES, this.left(nowMs) + bytes);
    this.recentAt = nowMs;
  }

  private left(nowMs: number): number {
    const passed = nowMs - this.recentAt;
    // A clock that was set back holds nothing up.
    return passed < 0 ? 0 : Math.max(0, Math.floor(this.recent - passed * BYTES_A_MS));
  }
}
