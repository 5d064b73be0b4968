import { type WebSocket } from 'ws';

const PING_MS = 25_000;
const SILENT_MS = 60_000;

/** Whether a client is still there (contract §6): it is pinged, and one that says nothing is dropped. */
export class SocketPulse {
  private heardAt: number;
  private pingedAt: number;
  /** When output was last seen to wait for it. */
  private backedUpAt: number;

  /** @param clock milliseconds */
  constructor(
    private readonly socket: WebSocket,
    clock: () => number,
  ) {
    const now = clock();
    this.heardAt = now;
    this.pingedAt = now;
    this.backedUpAt = now;
    const heard = (): void => {
      this.heardAt = clock();
    };
    socket.on('message', heard).on('pong', heard).on('ping', heard);
  }

  /** Every second or so. @param stallMs how long it may take nothing of what waits for it */
  look(now: number, stallMs: number): void {
    const { socket } = this;
    // One whose input waits for a shell is not silent: it is not listened to.
    if (socket.isPaused && socket.bufferedAmount === 0) this.heardAt = now;
    const backedUp = socket.bufferedAmount > 0;
    if (backedUp) this.backedUpAt = now;
    // Its pings come behind what it has to read.
    const stalled = backedUp && now - this.heardAt >= stallMs;
    const silent = now - Math.max(this.heardAt, this.backedUpAt) >= SILENT_MS;
    if (stalled || silent) socket.terminate();
    else if (now - this.pingedAt >= PING_MS && socket.readyState === socket.OPEN) {
      this.pingedAt = now;
      socket.ping();
    }
  }
}
