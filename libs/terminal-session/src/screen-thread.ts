import { type Clock } from '@devpocket/kernel';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import {
  type FromScreenThread,
  type ScreenFormat,
  type ScreenImage,
  type ScreenKeeper,
  type ScreenSize,
  type ScreenStep,
  type ToScreenThread,
} from './screen.messages';

/** Output that waits to be emulated; above it nothing is followed that nobody asks for. */
const MOST_WAITING_BYTES = 8 * 1_048_576;
const PAINT_MS = 10_000;
const MOST_HEAP_MB = 256;

interface Call {
  readonly resolve: (image: ScreenImage) => void;
  readonly reject: (error: Error) => void;
}

/** The one thread for all sessions' screens. It runs only while there is a screen to keep. */
export class ScreenThread implements ScreenKeeper {
  generation = 0;
  private worker: Worker | null = null;
  private waiting = 0;
  private calls = new Map<number, Call>();
  private nextCall = 1;
  private readonly keys = new Set<string>();

  constructor(private readonly clock: Clock) {}

  get busy(): boolean {
    return this.waiting > MOST_WAITING_BYTES;
  }

  follow(key: string, size: ScreenSize, steps: readonly ScreenStep[]): void {
    this.keys.add(key);
    const outputs = steps.flatMap((step) => (step.kind === 'output' ? [step.bytes] : []));
    this.waiting += outputs.reduce((sum, bytes) => sum + bytes.length, 0);
    // What lies in a buffer of its own is handed over, the rest copied.
    const own = outputs.filter(({ buffer, length }) => buffer instanceof ArrayBuffer && buffer.byteLength === length);
    this.tell({ kind: 'follow', key, size, steps }, own.map(({ buffer }) => buffer) as ArrayBuffer[]);
  }

  async paint(key: string, format: ScreenFormat): Promise<ScreenImage> {
    const call = this.nextCall;
    this.nextCall += 1;
    const answer = new Promise<ScreenImage>((resolve, reject) => this.calls.set(call, { resolve, reject }));
    this.tell({ kind: 'paint', key, format, call });
    void this.clock.wait(PAINT_MS).then(() => this.settle(call)?.reject(new Error('The screen took too long')));
    return answer;
  }

  forget(key: string): void {
    if (!this.keys.delete(key)) return;
    if (this.keys.size === 0) void this.stop();
    else this.tell({ kind: 'forget', key });
  }

  async stop(): Promise<void> {
    const { worker } = this;
    this.lost(worker, new Error('The server stops'));
    await worker?.terminate();
  }

  private tell(message: ToScreenThread, transfer: readonly ArrayBuffer[] = []): void {
    this.worker ??= this.start();
    this.worker.postMessage(message, transfer);
  }

  private start(): Worker {
    const worker = new Worker(workerFile(), { resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MB } });
    worker.unref();
    let cause = new Error('The thread of screens has ended');
    worker.on('message', (message: FromScreenThread) => this.hear(message));
    worker.on('error', (error) => {
      if (error instanceof Error) cause = error;
    });
    worker.on('exit', () => this.lost(worker, cause));
    return worker;
  }

  private hear(message: FromScreenThread): void {
    switch (message.kind) {
      case 'followed':
        this.waiting -= message.bytes;
        break;
      case 'painted':
        this.settle(message.call)?.resolve(message.image);
        break;
      case 'failed':
        this.settle(message.call)?.reject(new Error(message.message));
        break;
    }
  }

  private settle(call: number): Call | undefined {
    const waiting = this.calls.get(call);
    this.calls.delete(call);
    return waiting;
  }

  /** Whoever asks next begins anew from the output that is kept. */
  private lost(worker: Worker | null, error: Error): void {
    if (worker !== this.worker || !worker) return;
    this.worker = null;
    this.generation += 1;
    this.waiting = 0;
    this.keys.clear();
    const { calls } = this;
    this.calls = new Map();
    for (const { reject } of calls.values()) reject(error);
  }
}

/** Threads run compiled code; started from a source file (in a test) it is the build's. */
function workerFile(): string {
  const beside = join(__dirname, 'screen-worker.js');
  if (existsSync(beside)) return beside;
  const built = join(__dirname, '../../../dist/libs/terminal-session/src/screen-worker.js');
  if (!existsSync(built)) throw new Error('Screens are not built yet: run `npm run build`');
  return built;
}
