import { randomUUID } from 'node:crypto';
import { Broadcast, MemoryBroadcast } from './broadcast';
import { type RedisLink } from './redis-link';

interface Envelope {
  /** Who says it: what comes back was heard when it was said. */
  readonly from: string;
  /** Null: something went unsaid. */
  readonly channel: string | null;
  readonly message?: unknown;
}

/**
 * Heard here at once, by other replicas through Redis. Who may have missed something is told that: listeners whose way was cut, and
 * all of them when it was the speaker's.
 */
export class RedisBroadcast extends Broadcast {
  private readonly id = randomUUID();
  private readonly here = new MemoryBroadcast();
  private readonly missed = new Set<() => void>();
  private unsaid = false;
  private heard = false;

  constructor(private readonly link: RedisLink) {
    super();
    link.events.on('message', (text) => this.take(text));
    // The first time nothing was missed that anybody waited for.
    link.events.on('listening', () => {
      if (this.heard) this.tellMissed();
      this.heard = true;
    });
    link.events.on('up', () => {
      if (this.unsaid) this.say({ from: this.id, channel: null });
    });
  }

  publish(channel: string, message: unknown): void {
    this.here.publish(channel, message);
    this.say({ from: this.id, channel, message });
  }

  subscribe(channel: string, listener: (message: unknown) => void, missed?: () => void): () => void {
    const stop = this.here.subscribe(channel, listener);
    if (!missed) return stop;
    const own = (): void => missed(); // the same function may be given twice
    this.missed.add(own);
    return () => {
      stop();
      this.missed.delete(own);
    };
  }

  private say(envelope: Envelope): void {
    this.link.publish(JSON.stringify(envelope)).then(
      () => {
        if (envelope.channel === null) this.unsaid = false;
      },
      () => (this.unsaid = true),
    );
  }

  private take(text: string): void {
    const envelope = parse(text);
    if (!envelope || envelope.from === this.id) return;
    if (envelope.channel === null) this.tellMissed();
    else this.here.publish(envelope.channel, envelope.message);
  }

  private tellMissed(): void {
    for (const missed of [...this.missed]) missed();
  }
}

function parse(text: string): Envelope | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('from' in value) || !('channel' in value)) return null;
    return value as Envelope;
  } catch {
    return null; // not ours
  }
}
