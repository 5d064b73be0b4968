import { EventEmitter } from 'node:events';

/** Messages to every replica, this one included; best effort, no history. */
export abstract class Broadcast {
  abstract publish(channel: string, message: unknown): void;
  /** Returns the way to stop listening. */
  abstract subscribe(channel: string, listener: (message: unknown) => void): () => void;
}

export class MemoryBroadcast extends Broadcast {
  private readonly emitter = new EventEmitter().setMaxListeners(0);

  publish(channel: string, message: unknown): void {
    this.emitter.emit(channel, message);
  }

  subscribe(channel: string, listener: (message: unknown) => void): () => void {
    this.emitter.on(channel, listener);
    return () => this.emitter.off(channel, listener);
  }
}
