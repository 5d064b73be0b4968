import { Installation } from '@devpocket/database';
import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { type Place, type RuntimeDriver, RuntimeRegistry } from '@devpocket/runtime';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { isAlive } from './environment.machine';
import { LookRepository } from './look.repository';
import { OrphanRepository } from './orphan.repository';

const SWEEP_MS = 60_000;
/** Processes without a record end after this, seen at least twice. */
export const END_AFTER_MS = 60_000;
/** Volumes are somebody's work: a database restored from a backup, or a mistake with MONGODB_URL, can still be put right. */
export const REMOVE_AFTER_MS = 7 * 86_400_000;

/**
 * Ends, and much later removes, what the runtimes hold of this installation's environments that there is no record of. (The
 * record comes first at create and goes last at delete.) What belongs to another installation is never touched.
 */
@Injectable()
export class OrphanSweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('OrphanSweeper');
  private readonly loop: Loop;

  constructor(
    private readonly orphans: OrphanRepository,
    private readonly looks: LookRepository,
    private readonly runtimes: RuntimeRegistry,
    private readonly installation: Installation,
    private readonly clock: Clock,
    health: HealthRegistry,
  ) {
    const onError = (error: unknown): void => this.logger.error({ err: error }, 'A turn failed');
    this.loop = new Loop(clock, { name: 'orphans', intervalMs: SWEEP_MS, turn: () => this.sweep(), onError });
    health.addLoop(this.loop);
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.loop.stop();
  }

  async sweep(): Promise<void> {
    for (const driver of this.runtimes.all()) {
      // One runtime that does not answer keeps no other from being swept.
      await this.sweepOf(driver).catch((error: unknown) => this.logger.warn({ err: error, runtime: driver.kind }, 'Not swept'));
    }
  }

  private async sweepOf(driver: RuntimeDriver): Promise<void> {
    const install = await this.installation.id();
    const held = (await driver.list()).filter((one) => one.install === install);
    const known = await this.looks.known(held.map(({ environmentId }) => environmentId));
    const orphans = held.filter(({ environmentId }) => !known.has(environmentId));
    await this.orphans.keepOnly(
      driver.kind,
      orphans.map(({ environmentId }) => environmentId),
    );
    for (const place of orphans) await this.treat(driver, place);
  }

  private async treat(driver: RuntimeDriver, place: Place): Promise<void> {
    const now = this.clock.now();
    const since = await this.orphans.since(driver.kind, place, now);
    const age = now.getTime() - since.getTime();
    const told = { environment_id: place.environmentId, runtime: driver.kind, since };
    if (age === 0) this.logger.warn(told, 'It belongs to no environment: its processes end soon, its volume goes in 7 days');
    if (age < END_AFTER_MS) return;
    const sighting = await driver.look(place);
    if (sighting.seen !== 'absent' && isAlive(sighting.seen)) {
      await driver.stop(place, { incarnation: sighting.incarnation, graceMs: 0, kill: true });
    } else if (age >= REMOVE_AFTER_MS) {
      this.logger.warn(told, 'Removing what belongs to no environment');
      await driver.destroy(place);
    }
  }
}
