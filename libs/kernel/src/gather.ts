/** What is sent at once within one slot; beyond it more is waited for. */
const AT_ONCE_BYTES = 16_384;
const SLOT_MS = 4;
/** A full piece never waits. */
export const PIECE_BYTES = 65_536;

/**
 * When gathered output is due: an echo at once, a flood in large pieces. By volume and not by a timer alone: what follows a key is
 * small, whatever its rhythm, and must not wait.
 */
export class Gather {
  private slotAt = -Infinity;
  private inSlot = 0;

  /** @param pending bytes gathered @returns milliseconds until they are due, 0 for now */
  wait(pending: number, nowMs: number): number {
    const left = this.slotAt + SLOT_MS - nowMs;
    if (pending >= PIECE_BYTES || left <= 0 || this.inSlot < AT_ONCE_BYTES) return 0;
    // A clock that was set back holds nothing up for longer.
    return Math.min(left, SLOT_MS);
  }

  sent(bytes: number, nowMs: number): void {
    if (Math.abs(nowMs - this.slotAt) >= SLOT_MS) {
      this.slotAt = nowMs;
      this.inSlot = 0;
    }
    this.inSlot += bytes;
  }
}
