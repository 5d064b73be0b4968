import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { EnvironmentRepository } from './environment.repository';

const FLUSH_MS = 10_000;

/** Notes that somebody is at work; cheap enough for every keystroke. Written every 10 s and at shutdown. */
@Injectable()
export class ActivityRecorder implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly pending = new Map<string, Date>();
  private readonly connections = new Map<string, number>();
  private readonly loop: Loop;

  constructor(
    private readonly environments: EnvironmentRepository,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    this.loop = new Loop(clock, { name: 'activity', intervalMs: FLUSH_MS, turn: () => this.flush() });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop.stop();
    await this.flush();
  }

  touch(environmentId: string): void {
    this.pending.set(environmentId, this.clock.now());
  }

  /** Sockets that are open on an environment now, for its metrics. */
  setConnections(environmentId: string, count: number): void {
    if (count > 0) this.connections.set(environmentId, count);
    else this.connections.delete(environmentId);
  }

  connectionsOf(environmentId: string): number {
    return this.connections.get(environmentId) ?? 0;
  }

  async flush(): Promise<void> {
    for (const [id, at] of this.pending) {
      await this.environments.recordActivity(id, at);
      if (this.pending.get(id) === at) this.pending.delete(id);
    }
  }
}
