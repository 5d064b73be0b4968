import { duplicateKey } from '@devpocket/database';
import { Clock, isId, type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, type QueryFilter, Types, type UpdateQuery } from 'mongoose';
import { type Environment, type Observed, type Shown, type Status, type UsageReading, type Wanted } from './environment';
import { isActive } from './environment.machine';
import { EnvironmentRecord } from './environment.schema';

export type NewEnvironment = Omit<
  Environment,
  'id' | 'holdsPlace' | 'statusVersion' | 'updatedAt' | 'startedAt' | 'lastAccessed' | 'lastActivityAt' | 'keepUntil' | 'usage'
> & {
  readonly idempotencyScope: string | null;
};

/** What an insert or a start can run into. */
export type Conflict = 'name_taken' | 'active_limit' | 'kept_limit' | 'repeated' | 'changed';

export interface PlaceLimits {
  readonly active: number;
  readonly kept: number;
}

/** A look at one environment: nobody else looks until the lease ends. */
export interface Claim {
  readonly environment: Environment;
  readonly token: string;
  readonly failures: number;
}

/** Fields that a request changes beside the wish. */
export interface Edit {
  readonly name?: string;
  readonly description?: string | null;
  readonly resources?: Environment['resources'];
  readonly limits?: Environment['limits'];
  readonly environmentVariables?: Readonly<Record<string, string>>;
  readonly autoStopMinutes?: number | null;
}

const LEASE_MS = 30_000;

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

  async findByScope(scope: string): Promise<Environment | null> {
    return toEnvironment(await this.records.findOne({ idempotency_scope: scope }).lean());
  }

  async list(
    userId: string,
    filter: { readonly status?: Status; readonly template?: string },
    { limit, after }: PageRequest,
  ): Promise<Page<Environment>> {
    const where: QueryFilter<EnvironmentRecord> = {
      ...owned(userId),
      ...(filter.status === undefined ? {} : { status: filter.status }),
      ...(filter.template === undefined ? {} : { 'template.name': filter.template }),
    };
    const older = after && {
      $or: [
        { created_at: { $lt: new Date(after.time) } },
        { created_at: new Date(after.time), _id: { $lt: new Types.ObjectId(after.id) } },
      ],
    };
    const [records, total] = await Promise.all([
      this.records
        .find({ ...where, ...older })
        .sort({ created_at: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.records.countDocuments(where),
    ]);
    return toPage(records.map(must), limit, total, (one) => ({ time: one.createdAt.getTime(), id: one.id }));
  }

  async running(): Promise<readonly Environment[]> {
    return (await this.records.find({ status: 'running' }).lean()).map(must);
  }

  /** Which places of the plan a user holds. */
  async places(userId: string): Promise<{ readonly active: readonly number[]; readonly kept: readonly number[] }> {
    const records = await this.records.find({ user_id: new Types.ObjectId(userId) }, { active_slot: 1, kept_slot: 1 }).lean();
    const taken = (slots: (number | undefined)[]): number[] => slots.filter((slot) => slot !== undefined);
    return { active: taken(records.map((record) => record.active_slot)), kept: taken(records.map((record) => record.kept_slot)) };
  }

  /** The unique indexes decide: of any number of callers at a limit exactly as many get a place as there are. */
  async insert(fresh: NewEnvironment, limits: PlaceLimits): Promise<Environment | Conflict> {
    const now = this.clock.now();
    for (;;) {
      const places = await this.places(fresh.userId);
      const active = freePlace(places.active, limits.active);
      const kept = freePlace(places.kept, limits.kept);
      if (active === null) return 'active_limit';
      if (kept === null) return 'kept_limit';
      try {
        const record = await this.records.create({
          _id: new Types.ObjectId(),
          user_id: new Types.ObjectId(fresh.userId),
          name: fresh.name,
          description: fresh.description,
          template: fresh.template,
          image: fresh.image,
          default_port: fresh.defaultPort,
          startup_commands: [...fresh.startupCommands],
          resources: fresh.resources,
          limits: fresh.limits,
          template_variables: fresh.templateVariables,
          environment_variables: fresh.environmentVariables,
          region: fresh.region,
          runtime_kind: fresh.runtimeKind,
          cluster_id: fresh.clusterId,
          wanted: fresh.wanted,
          observed: fresh.observed,
          shown: fresh.shown,
          status: fresh.shown.status,
          status_version: 1,
          since: fresh.since,
          progress_at: fresh.progressAt,
          active_slot: active,
          kept_slot: kept,
          ...(fresh.idempotencyScope === null ? {} : { idempotency_scope: fresh.idempotencyScope }),
          next_look: now,
          lease_until: new Date(0),
          lease_token: null,
          created_at: now,
          updated_at: now,
          auto_stop_minutes: fresh.autoStopMinutes,
          plan_auto_stop_minutes: fresh.planAutoStopMinutes,
          plan_longest_run_minutes: fresh.planLongestRunMinutes,
          usage: { cpu: null, memory: null, storage: null },
        });
        return must(record.toObject());
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
      const update: UpdateQuery<EnvironmentRecord> = {
        $set: {
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
        $inc: { status_version: 1 },
        ...unset(next.shown.status),
      };
      try {
        const record = await this.records.findOneAndUpdate(this.unchanged(before), update, { returnDocument: 'after' }).lean();
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
      updated_at: this.clock.now(),
    };
    try {
      const record = await this.records
        .findOneAndUpdate(
          { ...owned(before.userId), _id: new Types.ObjectId(before.id), 'resources.storage': before.resources.storage },
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

  async recordUsage(id: string, usage: UsageReading): Promise<void> {
    await this.records.updateOne({ _id: new Types.ObjectId(id), status: 'running' }, { $set: { usage } });
  }

  /** Takes the environment that is due longest, if any, for one look. */
  async claim(token: string): Promise<Claim | null> {
    for (;;) {
      const now = this.clock.now();
      const [due] = await this.records
        .find({ next_look: { $lte: now }, lease_until: { $lte: now } }, { next_look: 1, lease_until: 1 })
        .sort({ next_look: 1 })
        .limit(1)
        .lean();
      if (!due) return null;
      const record = await this.records
        .findOneAndUpdate(
          { _id: due._id, next_look: due.next_look, lease_until: due.lease_until },
          { $set: { lease_token: token, lease_until: new Date(now.getTime() + LEASE_MS) } },
          { returnDocument: 'after' },
        )
        .lean();
      // Another replica may have been faster; then there may be another one due.
      if (record) return { environment: must(record), token, failures: record.failures };
    }
  }

  /** How long the one that is due longest has been waiting, in ms. */
  async lag(): Promise<number> {
    const now = this.clock.now();
    const [record] = await this.records
      .find({ next_look: { $lte: now }, lease_until: { $lte: now } }, { next_look: 1 })
      .sort({ next_look: 1 })
      .limit(1)
      .lean();
    return record ? now.getTime() - record.next_look.getTime() : 0;
  }

  /**
   * Writes what was seen, if the lease is still ours and no wish came meanwhile.
   * @returns the environment as it is now; null when the result was dropped: then it is due again at once
   */
  async record(
    claim: Claim,
    next: {
      readonly observed: Observed;
      readonly shown: Shown;
      readonly since?: Date;
      readonly progressAt?: Date;
      readonly startedAt?: Date;
    },
    lookInMs: number,
  ): Promise<Environment | null> {
    const { environment: before, token } = claim;
    const changed = !sameShown(before.shown, next.shown);
    const now = this.clock.now();
    const update: UpdateQuery<EnvironmentRecord> = {
      $set: {
        observed: next.observed,
        shown: next.shown,
        status: next.shown.status,
        next_look: new Date(now.getTime() + lookInMs),
        lease_until: new Date(0),
        lease_token: null,
        failures: 0,
        ...(next.since ? { since: next.since } : {}),
        ...(next.progressAt ? { progress_at: next.progressAt } : {}),
        ...(next.startedAt ? { started_at: next.startedAt, last_activity_at: next.startedAt, keep_until: null } : {}),
        ...(changed ? { updated_at: now } : {}),
      },
      ...(changed ? { $inc: { status_version: 1 } } : {}),
      ...unset(next.shown.status),
    };
    const record = await this.records
      .findOneAndUpdate({ ...this.unchanged(before), lease_token: token }, update, { returnDocument: 'after' })
      .lean();
    if (!record) await this.release(claim, 0, 0);
    return toEnvironment(record);
  }

  /** Gives the lease back without a result. */
  async release({ environment, token }: Claim, lookInMs: number, failures: number): Promise<void> {
    await this.records.updateOne(
      { _id: new Types.ObjectId(environment.id), lease_token: token },
      { $set: { lease_until: new Date(0), lease_token: null, next_look: new Date(this.clock.millis() + lookInMs), failures } },
    );
  }

  /** The end of a deleted environment: container and volume are gone. */
  async forget({ environment, token }: Claim): Promise<boolean> {
    const result = await this.records.deleteOne({
      _id: new Types.ObjectId(environment.id),
      lease_token: token,
      status: 'deleting',
    });
    return result.deletedCount === 1;
  }

  /** At start all that may have changed is due: what was recorded of it is looked at, not trusted. */
  async makeAllDue(): Promise<void> {
    await this.records.updateMany({ status: { $ne: 'stopped' } }, { $set: { next_look: this.clock.now() } });
  }

  async countByStatus(): Promise<Readonly<Record<string, number>>> {
    const rows = await this.records.aggregate<{ _id: string; count: number }>([
      { $group: { _id: '$status', count: { $sum: 1 } } },
    ]);
    return Object.fromEntries(rows.map(({ _id, count }) => [_id, count]));
  }

  async known(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const records = await this.records.find({ _id: { $in: ids.map((id) => new Types.ObjectId(id)) } }, { _id: 1 }).lean();
    return new Set(records.map(({ _id }) => _id.toHexString()));
  }

  private unchanged(before: Environment): QueryFilter<EnvironmentRecord> {
    return { _id: new Types.ObjectId(before.id), status_version: before.statusVersion };
  }
}

/** Deleted ones are gone for their user from the answer on. */
function owned(userId: string): QueryFilter<EnvironmentRecord> {
  return { user_id: new Types.ObjectId(userId), kept_slot: { $exists: true } };
}

function unset(status: Status): UpdateQuery<EnvironmentRecord> {
  if (status === 'deleting') return { $unset: { active_slot: 1, kept_slot: 1 } };
  return isActive(status) ? {} : { $unset: { active_slot: 1 } };
}

/** The lowest place that is free, so that callers who read the same pick the same and the index decides; null when the limit is reached. */
function freePlace(taken: readonly number[], limit: number): number | null {
  if (taken.length >= limit) return null;
  let place = 0;
  while (taken.includes(place)) place += 1;
  return place;
}

export function sameShown(a: Shown, b: Shown): boolean {
  return (
    a.status === b.status && a.phase === b.phase && a.progress === b.progress && a.reason === b.reason && a.message === b.message
  );
}

function must(record: EnvironmentRecord): Environment {
  return {
    id: record._id.toHexString(),
    userId: record.user_id.toHexString(),
    name: record.name,
    description: record.description,
    template: record.template,
    image: record.image,
    defaultPort: record.default_port,
    startupCommands: record.startup_commands,
    resources: record.resources,
    limits: record.limits,
    templateVariables: record.template_variables,
    environmentVariables: record.environment_variables,
    region: record.region,
    runtimeKind: record.runtime_kind,
    clusterId: record.cluster_id,
    wanted: record.wanted,
    observed: record.observed,
    shown: record.shown,
    holdsPlace: record.active_slot !== undefined,
    statusVersion: record.status_version,
    since: record.since,
    progressAt: record.progress_at,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
    startedAt: record.started_at,
    lastAccessed: record.last_accessed,
    lastActivityAt: record.last_activity_at,
    keepUntil: record.keep_until,
    autoStopMinutes: record.auto_stop_minutes,
    planAutoStopMinutes: record.plan_auto_stop_minutes,
    planLongestRunMinutes: record.plan_longest_run_minutes,
    usage: record.usage,
  };
}

function toEnvironment(record: EnvironmentRecord | null): Environment | null {
  return record && must(record);
}
