import { isRecord } from '@devpocket/client';

/** A stream of server-sent events as a client reads it, with `fetch`. */
export class EventSource {
  readonly events: Record<string, unknown>[] = [];
  /** All that came, as it came. */
  text = '';
  /** The cursor to go on from: `id:` counts without data too. */
  lastId = '';
  ended = false;
  private readonly stopper = new AbortController();

  private constructor(readonly response: Response) {}

  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<EventSource> {
    const stopper = new AbortController();
    const source = new EventSource(
      await fetch(url, { headers: { accept: 'text/event-stream', ...headers }, signal: stopper.signal }),
    );
    source.stopper.signal.addEventListener('abort', () => stopper.abort());
    if (source.response.ok) void source.read();
    return source;
  }

  close(): void {
    this.stopper.abort();
  }

  private async read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = '';
    try {
      const body = (this.response.body ?? []) as AsyncIterable<Uint8Array>;
      for await (const chunk of body) {
        const text = decoder.decode(chunk, { stream: true });
        this.text += text;
        const frames = (rest + text).split('\n\n');
        rest = frames.pop() ?? '';
        for (const frame of frames) this.take(frame);
      }
    } catch {
      // broken off; `ended` says it
    }
    this.ended = true;
  }

  private take(frame: string): void {
    const fields = frame.split('\n').map((line) => /^(\w*): (.*)$/.exec(line) ?? []);
    const valueOf = (name: string): string | undefined => fields.find(([, field]) => field === name)?.[2];
    this.lastId = valueOf('id') ?? this.lastId;
    const data: unknown = JSON.parse(valueOf('data') ?? 'null');
    if (isRecord(data)) this.events.push({ ...data, event: valueOf('event') });
  }
}
