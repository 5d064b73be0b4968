import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Pino's `error`. */
const ERROR = 50;

/** Reads what the fuzzed server prints. */
export class Watch {
  /** Lines that no request should cause. */
  readonly complaints: string[] = [];
  private rest = '';
  private heap: number | null = null;

  hear(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.read(line);
  }

  /** After a garbage collection, in bytes. */
  async memory(pid: number): Promise<{ readonly heap: number; readonly rss: number }> {
    this.heap = null;
    process.kill(pid, 'SIGUSR2');
    for (const end = performance.now() + 10_000; this.heap === null; await delay(20))
      if (performance.now() > end) throw new Error('The server does not tell its memory');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return { heap: this.heap, rss: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024 };
  }

  private read(line: string): void {
    const value = parsed(line);
    if (value?.memory) this.heap = value.memory.heapUsed;
    else if ((value?.level ?? 0) >= ERROR || /unhandled|uncaught|MaxListeners|heap out of memory|Warning:/i.test(line))
      this.complaints.push(line);
  }
}

function parsed(line: string): { readonly level?: number; readonly memory?: { readonly heapUsed: number } } | null {
  try {
    return JSON.parse(line) as { level?: number };
  } catch {
    return null;
  }
}
