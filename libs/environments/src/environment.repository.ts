import { duplicateKey, olderThan } from '@devpocket/database';
import { Clock, isId, type Page, type PageRequest, type Region, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, type QueryFilter, Types, type UpdateQuery } from 'mongoose';
import { type Environment, type Observed, type Shown, type Status, type UsageReading, type Wanted } from './environment';
import { fromRecord, originFields, owned, placesGivenBack, toEnvironment, unchanged, withNews } from './environment-records';
import { EnvironmentRecord } from './environment.schema';
import { type News } from './environment.events';
import { newsOf } from './news.policy';
import { type Alerts } from './resource-alert.policy';
import { freePlace } from './place.policy';

export type NewEnvironment = Omit<
  Environment,
  | 'id'
  | 'holdsPlace'
  | 'clusterId'
  | 'statusVersion'
  | 'revision'
  | 'updatedAt'
  | 'startedAt'
  | 'lastAccessed'
  | 'lastActivityAt'
  | 'keepUntil'
  | 'usage'
  | 'usageAt'
  | 'alerts'
  | 'untold'
  | 'untoldAt'
> & {
  readonly idempotencyScope: string | null;
};

/** What an insert or a start can run into. */
export type Conflict = 'name_taken' | 'active_limit' | 'kept_limit' | 'cluster_full' | 'repeated' | 'changed';

export interface PlaceLimits {
  readonly active: number;
  readonly kept: number;
}

/** A cluster, and how many environments it takes. */
export interface ClusterRoom {
  readonly id: string;
  readonly region: Region;
  readonly maxEnvironments: number;
}

/** Fields that a request changes beside the wish. */
export interface Edit {
  readonly name?: string;
  readonly description?: string | null;
  readonly resources?: Environment['resources'];
  readonly limits?: Environment['limits'];
  readonly environmentVariables?: Readonly<Record<string, string>>;
  readonly autoStopMinutes?: number | null;
  readonly planAutoStopMinutes?: number | null;
  /** What a later version of its template says. */
  readonly origin?: Pick<
    Environment,
    'template' | 'image' | 'defaultPort' | 'startupCommands' | 'readOnlyRoot' | 'templateVariables'
  >;
}

export interface EnvironmentFilter {
  readonly status?: Status;
  readonly template?: string;
}

export interface AllEnvironmentsFilter {
  readonly status?: Status;
  /** The id of whose they are. */
  readonly user?: string;
}

/** As long as an Idempotency-Key counts. */
const SCOPE_MS = 24 * 3_600_000;

@Injectable()
export class EnvironmentRepository {
  constructor(
    @InjectModel(EnvironmentRecord.name) private readonly records: Model<EnvironmentRecord>,
    private readonly clock: Clock,
  ) {}

  /** The caller's own, not deleted. */
  async findOwned(userId: string, id: string): Promise<Environment | null> {
    if (!isId(id)) return null;
    return toEnvironment(await this.records.findOne({ ...owned(userId), _id: new Types.ObjectId(id) }).lean());
  }

  async find(id: string): Promise<Environment | null> {
    return isId(id) ? toEnvironment(await this.records.findOne({ _id: new Types.ObjectId(id) }).lean()) : null;
  }

  /** What was created under this scope; what is older than a key counts gives it back. */
  async findByScope(scope: string): Promise<Environment | null> {
    const old = { idempotency_scope: scope, created_at: { $lte: new Date(this.clock.millis() - SCOPE_MS) } };
    await this.records.updateOne(old, { $unset: { idempotency_scope: 1 } });
    return toEnvironment(await this.records.findOne({ idempotency_scope: scope }).lean());
  }

  list(userId: string, { status, template }: EnvironmentFilter, page: PageRequest): Promise<Page<Environment>> {
    const where = {
      ...owned(userId),
      ...(status === undefined ? {} : { status }),
      ...(template === undefined ? {} : { 'template.name': template }),
    };
    return this.page(where, page);
  }

  /** Everybody's, with those on their way out. */
  listAll({ status, user }: AllEnvironmentsFilter, page: PageRequest): Promise<Page<Environment>> {
    const where = {
      ...(status === undefined ? {} : { status }),
      ...(user === undefined ? {} : { user_id: new Types.ObjectId(user) }),
    };
    return this.page(where, page);
  }

  private async page(where: QueryFilter<EnvironmentRecord>, { limit, after }: PageRequest): Promise<Page<Environment>> {
    const older = olderThan('created_at', after);
    const [records, total] = await Promise.all([
      this.records
        .find({ ...where, ...older })
        .sort({ created_at: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.records.countDocuments(where),
    ]);
    return toPage(records.map(fromRecord), limit, total, (one) => ({ time: one.createdAt.getTime(), id: one.id }));
  }

  /** All that there is of a user, with those on their way out. */
  async allOf(userId: string): Promise<readonly Environment[]> {
    return (await this.records.find({ user_id: new Types.ObjectId(userId) }).lean()).map(fromRecord);
  }

  async running(): Promise<readonly Environment[]> {
    return (await this.records.find({ status: 'running' }).lean()).map(fromRecord);
  }

  /** Which places of the plan a user holds. */
  async places(userId: string): Promise<{ readonly active: readonly number[]; readonly kept: readonly number[] }> {
    const records = await this.records.find({ user_id: new Types.ObjectId(userId) }, { active_slot: 1, kept_slot: 1 }).lean();
    const taken = (slots: (number | undefined)[]): number[] => slots.filter((slot) => slot !== undefined);
    return { active: taken(records.map((record) => record.active_slot)), kept: taken(records.map((record) => record.kept_slot)) };
  }

  /** Which places of a cluster are taken. */
  private async clusterSlots(clusterId: string): Promise<readonly number[]> {
    const records = await this.records
      .find({ cluster_id: clusterId, cluster_slot: { $exists: true } }, { cluster_slot: 1 })
      .lean();
    return records.map(({ cluster_slot }) => cluster_slot).filter((slot) => slot !== undefined);
  }

  /**
   * The unique indexes decide: of any number of callers at a limit exactly as many get a place as there are.
   * @param room the cluster that it goes to, if any
   * @param holdMs for so long nobody looks at it, unless it is released
   */
  async insert(
    fresh: NewEnvironment,
    limits: PlaceLimits,
    room: ClusterRoom | null = null,
    holdMs = 0,
  ): Promise<Environment | Conflict> {
    const now = this.clock.now();
    for (;;) {
      const places = await this.places(fresh.userId);
      const active = freePlace(places.active, limits.active);
      const kept = freePlace(places.kept, limits.kept);
      if (active === null) return 'active_limit';
      if (kept === null) return 'kept_limit';
      const slot = room ? freePlace(await this.clusterSlots(room.id), room.maxEnvironments) : undefined;
      if (slot === null) return 'cluster_full';
      try {
        const _id = new Types.ObjectId();
        const created = { ...fresh, id: _id.toHexString(), statusVersion: 1 };
        const record = await this.records.create({
          _id,
          user_id: new Types.ObjectId(fresh.userId),
          name: fresh.name,
          description: fresh.description,
          ...originFields(fresh),
          resources: fresh.resources,
          limits: fresh.limits,
          environment_variables: fresh.environmentVariables,
          region: room ? room.region : fresh.region,
          runtime_kind: fresh.runtimeKind,
          cluster_id: room ? room.id : null,
          ...(slot === undefined ? {} : { cluster_slot: slot }),
          wanted: fresh.wanted,
          observed: fresh.observed,
          shown: fresh.shown,
          status: fresh.shown.status,
          status_version: 1,
          revision: 1,
          since: fresh.since,
          progress_at: fresh.progressAt,
          active_slot: active,
          kept_slot: kept,
          ...(fresh.idempotencyScope === null ? {} : { idempotency_scope: fresh.idempotencyScope }),
          next_look: new Date(now.getTime() + holdMs),
          lease_until: new Date(0),
          lease_token: null,
          created_at: now,
          updated_at: now,
          auto_stop_minutes: fresh.autoStopMinutes,
          plan_auto_stop_minutes: fresh.planAutoStopMinutes,
          plan_longest_run_minutes: fresh.planLongestRunMinutes,
          usage: { cpu: null, memory: null, storage: null },
          ...withNews(null, newsOf(null, created, now), now),
        });
        return fromRecord(record.toObject());
      } catch (error) {
        const keys = duplicateKey(error);
        if (!keys) throw error;
        if (keys.includes('idempotency_scope')) return 'repeated';
        if (keys.includes('name')) return 'name_taken';
        // somebody took the place meanwhile: look for another
      }
    }
  }

  /**
   * Writes a wish if the environment still is as it was read. With `limits` it takes a place, ceasing to be gives it back, being
   * deleted gives back the name as well: all in this one write.
   */
  async wish(
    before: Environment,
    next: { readonly wanted: Wanted; readonly observed: Observed; readonly shown: Shown },
    limits: PlaceLimits | null,
    edit: { readonly planAutoStopMinutes?: number | null; readonly planLongestRunMinutes?: number | null } = {},
  ): Promise<Environment | Conflict> {
    const now = this.clock.now();
    for (;;) {
      const place = limits ? freePlace((await this.places(before.userId)).active, limits.active) : undefined;
      if (place === null) return 'active_limit';
      const news = newsOf(before, { ...before, ...next, statusVersion: before.statusVersion + 1 }, now);
      const update: UpdateQuery<EnvironmentRecord> = {
        $set: {
          ...withNews(before, news, now),
          wanted: next.wanted,
          observed: next.observed,
          shown: next.shown,
          status: next.shown.status,
          next_look: now,
          updated_at: now,
          ...(next.shown.status === before.shown.status && next.wanted.generation === before.wanted.generation
            ? {}
            : { since: now, progress_at: now }),
          ...(place === undefined ? {} : { active_slot: place }),
          ...(edit.planAutoStopMinutes === undefined ? {} : { plan_auto_stop_minutes: edit.planAutoStopMinutes }),
          ...(edit.planLongestRunMinutes === undefined ? {} : { plan_longest_run_minutes: edit.planLongestRunMinutes }),
        },
        $inc: { status_version: 1, revision: 1 },
        ...placesGivenBack(next.shown.status),
      };
      try {
        const record = await this.records.findOneAndUpdate(unchanged(before), update, { returnDocument: 'after' }).lean();
        return toEnvironment(record) ?? 'changed';
      } catch (error) {
        if (!duplicateKey(error)) throw error;
      }
    }
  }

  async edit(before: Environment, edit: Edit): Promise<Environment | Conflict> {
    const set = {
      ...(edit.name === undefined ? {} : { name: edit.name }),
      ...(edit.description === undefined ? {} : { description: edit.description }),
      ...(edit.resources === undefined ? {} : { resources: edit.resources }),
      ...(edit.limits === undefined ? {} : { limits: edit.limits }),
      ...(edit.environmentVariables === undefined ? {} : { environment_variables: edit.environmentVariables }),
      ...(edit.autoStopMinutes === undefined ? {} : { auto_stop_minutes: edit.autoStopMinutes }),
      ...(edit.planAutoStopMinutes === undefined ? {} : { plan_auto_stop_minutes: edit.planAutoStopMinutes }),
      ...(edit.origin === undefined ? {} : originFields(edit.origin)),
      updated_at: this.clock.now(),
    };
    const { cpu, memory, storage } = before.resources;
    // Part of what is written is what was read.
    const asRead =
      edit.resources === undefined ? {} : { 'resources.cpu': cpu, 'resources.memory': memory, 'resources.storage': storage };
    try {
      const record = await this.records
        .findOneAndUpdate(
          { ...owned(before.userId), _id: new Types.ObjectId(before.id), ...asRead },
          { $set: set },
          { returnDocument: 'after' },
        )
        .lean();
      return toEnvironment(record) ?? 'changed';
    } catch (error) {
      if (duplicateKey(error)) return 'name_taken';
      throw error;
    }
  }

  async keep(userId: string, id: string, until: Date): Promise<Environment | null> {
    const set = { $max: { keep_until: until, last_activity_at: this.clock.now() } };
    return toEnvironment(
      await this.records
        .findOneAndUpdate({ ...owned(userId), _id: new Types.ObjectId(id) }, set, { returnDocument: 'after' })
        .lean(),
    );
  }

  async recordActivity(id: string, at: Date): Promise<void> {
    await this.records.updateOne({ _id: new Types.ObjectId(id) }, { $max: { last_activity_at: at } });
  }

  async recordAccess(id: string, at: Date): Promise<void> {
    await this.records.updateOne({ _id: new Types.ObjectId(id) }, { $max: { last_accessed: at } });
  }

  /**
   * A reading, with the alerts that it brings, unless there is a newer one than `before` has.
   * @returns null: somebody else's is there, it does not run any more, or it changed while there is news of it
   */
  async recordUsage(
    before: Environment,
    { usage, alerts, at }: { readonly usage: UsageReading; readonly alerts: Alerts; readonly at: Date },
    news: readonly News[],
  ): Promise<Environment | null> {
    const asRead = news.length > 0 ? unchanged(before) : { _id: new Types.ObjectId(before.id) };
    const record = await this.records
      .findOneAndUpdate(
        { ...asRead, status: 'running', usage_at: before.usageAt },
        {
          $set: { usage, alerts, usage_at: at, ...withNews(before, news, at) },
          ...(news.length > 0 ? { $inc: { revision: 1 } } : {}),
        },
        { returnDocument: 'after' },
      )
      .lean();
    return toEnvironment(record);
  }

  async countByStatus(): Promise<Readonly<Record<string, number>>> {
    const rows = await this.records.aggregate<{ _id: string; count: number }>([
      { $group: { _id: '$status', count: { $sum: 1 } } },
    ]);
    return Object.fromEntries(rows.map(({ _id, count }) => [_id, count]));
  }
}
