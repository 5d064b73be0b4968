import { EventEmitter } from 'node:events';

/** Messages to every replica, this one included; best effort, no history. What is published is JSON to other replicas. */
export abstract class Broadcast {
  abstract publish(channel: string, message: unknown): void;

  /**
   * @param missed called when messages may have been lost on their way here: what they tell of has to be read anew
   * @returns the way to stop listening
   */
  abstract subscribe(channel: string, listener: (message: unknown) => void, missed?: () => void): () => void;
}

/** Nothing is lost within one process. */
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
