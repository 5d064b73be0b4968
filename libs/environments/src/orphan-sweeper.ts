import { RuntimeSettings } from '@devpocket/config';
import { Installation } from '@devpocket/database';
import { HealthRegistry } from '@devpocket/http';
import { Clock, Loop } from '@devpocket/kernel';
import { type Place, type RuntimeDriver, RuntimeError, RuntimeRegistry } from '@devpocket/runtime';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { isAlive } from './environment.machine';
import { LookRepository } from './look.repository';
import { END_AFTER_MS, type Orphan, REMOVE_AFTER_MS, SWEEP_MS } from './orphan';
import { OrphanRepository } from './orphan.repository';

/**
 * Ends, and much later removes, what the runtimes hold of this installation's environments that there is no record of. (The
 * record comes first at create and goes last at delete.) What belongs to another installation is never touched. Records of which no
 * runtime holds anything are noted beside them.
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
    private readonly settings: RuntimeSettings,
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
    await this.sweepObjects(driver, held);
    await this.sweepRecords(driver, new Set(held.map(({ environmentId }) => environmentId)));
  }

  private async sweepObjects(driver: RuntimeDriver, held: readonly Place[]): Promise<void> {
    const known = await this.looks.known(held.map(({ environmentId }) => environmentId));
    const orphans = held.filter(({ environmentId }) => !known.has(environmentId));
    const there = new Set(orphans.map(({ environmentId }) => environmentId));
    for (const noted of await this.orphans.noted('object', driver.kind))
      if (!there.has(noted.id) && (await this.isPast(driver, noted))) await this.orphans.forget(noted.id);
    for (const place of orphans) await this.treat(driver, place);
  }

  /** Has it a record again, or is it gone? What was not listed may only not have answered. */
  private async isPast(driver: RuntimeDriver, { id, userId, clusterId }: Orphan): Promise<boolean> {
    if ((await this.looks.known([id])).has(id)) return true;
    try {
      return (await driver.look({ environmentId: id, userId, clusterId })).seen === 'absent';
    } catch (error) {
      if (error instanceof RuntimeError) return false;
      throw error;
    }
  }

  /** The reconciler alone says what is seen of an environment: it is told to look at those that were not listed. */
  private async sweepRecords(driver: RuntimeDriver, held: ReadonlySet<string>): Promise<void> {
    const { kind } = driver;
    const rested = (await this.looks.atRest(kind, 'something')).map(({ environmentId }) => environmentId);
    await this.looks.makeDue(rested.filter((id) => !held.has(id)));
    const lost = await this.looks.atRest(kind, 'nothing');
    for (const place of lost) await this.orphans.note('record', kind, place, this.clock.now());
    const there = new Set(lost.map(({ environmentId }) => environmentId));
    for (const { id } of await this.orphans.noted('record', kind)) if (!there.has(id)) await this.orphans.forget(id);
  }

  private async treat(driver: RuntimeDriver, place: Place): Promise<void> {
    const now = this.clock.now();
    const since = await this.orphans.note('object', driver.kind, place, now);
    const age = now.getTime() - since.getTime();
    const told = { environment_id: place.environmentId, runtime: driver.kind, since };
    const { orphanAutoDelete } = this.settings;
    if (age === 0) {
      const fate = orphanAutoDelete ? 'goes in 7 days' : 'stays until it is deleted';
      this.logger.warn(told, `It belongs to no environment: its processes end soon, its volume ${fate}`);
    }
    if (age < END_AFTER_MS) return;
    const sighting = await driver.look(place);
    if (sighting.seen !== 'absent' && isAlive(sighting.seen)) {
      await driver.stop(place, { incarnation: sighting.incarnation, graceMs: 0, kill: true });
    } else if (orphanAutoDelete && (age >= REMOVE_AFTER_MS || sighting.seen === 'absent')) {
      // Absent: without a volume the rest is nobody's work.
      this.logger.warn(told, 'Removing what belongs to no environment');
      await driver.destroy(place);
    }
  }
}
