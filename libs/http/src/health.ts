import { type Loop } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';

/** Resolves when the part works, rejects when it does not. */
export type HealthCheck = (signal: AbortSignal) => Promise<void>;

const CHECK_MS = 2_000;

/** What readiness depends on and which background work there is; the parts register themselves. */
@Injectable()
export class HealthRegistry {
  private readonly checks = new Map<string, { readonly check: HealthCheck; readonly needed: boolean }>();
  private readonly loops: Loop[] = [];
  private stopping = false;

  /** @param needed false: it is told, but without it the server is ready all the same */
  register(name: string, check: HealthCheck, { needed = true } = {}): void {
    this.checks.set(name, { check, needed });
  }

  addLoop(loop: Loop): void {
    this.loops.push(loop);
  }

  /** From now on the server is not ready: whoever balances load looks elsewhere. */
  stop(): void {
    this.stopping = true;
  }

  async ready(): Promise<{ readonly ready: boolean; readonly checks: Readonly<Record<string, string>> }> {
    const results = await Promise.all(
      [...this.checks].map(async ([name, { check, needed }]) => ({ name, needed, healthy: await this.run(check) })),
    );
    const checks = Object.fromEntries(results.map(({ name, healthy }) => [name, healthy ? 'healthy' : 'unhealthy']));
    if (this.stopping) return { ready: false, checks: { ...checks, server: 'stopping' } };
    return { ready: results.every(({ healthy, needed }) => healthy || !needed), checks };
  }

  background(): readonly { name: string; running: boolean; last_turn_at: string | null; failures: number }[] {
    return this.loops.map((loop) => {
      const { name, running, lastTurnAt, failures } = loop.state();
      return { name, running, last_turn_at: lastTurnAt?.toISOString() ?? null, failures };
    });
  }

  private async run(check: HealthCheck): Promise<boolean> {
    const signal = AbortSignal.timeout(CHECK_MS);
    const late = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('no answer in time')));
    });
    return Promise.race([check(signal), late]).then(
      () => true,
      () => false,
    );
  }
}
