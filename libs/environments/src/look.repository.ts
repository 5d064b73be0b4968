import { Clock } from '@devpocket/kernel';
import { type Place, type RuntimeKind } from '@devpocket/runtime';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types, type UpdateQuery } from 'mongoose';
import { type Environment, type Observed, sameShown, type Shown } from './environment';
import { fromRecord, placesGivenBack, toEnvironment, unchanged, withNews } from './environment-records';
import { EnvironmentRecord } from './environment.schema';
import { newsOf } from './news.policy';

/** A look at one environment: nobody else looks until the lease ends. */
export interface Claim {
  readonly environment: Environment;
  readonly token: string;
  /** Looks in a row that failed before this one. */
  readonly failures: number;
}

/** What a look came to. */
export interface Finding {
  readonly observed: Observed;
  readonly shown: Shown;
  readonly since: Date;
  readonly progressAt: Date;
  /** Set when it began to run. */
  readonly startedAt?: Date;
}

export const LEASE_MS = 30_000;
const NO_LEASE = { lease_until: new Date(0), lease_token: null };

/** The reconciler's side of the collection: which environment is due, who looks at it, what was seen. */
@Injectable()
export class LookRepository {
  constructor(
    @InjectModel(EnvironmentRecord.name) private readonly records: Model<EnvironmentRecord>,
    private readonly clock: Clock,
  ) {}

  /** Takes the environment that is due longest for one look. @returns when none is due, when the next one is, or null if none is known */
  async claim(token: string): Promise<Claim | Date | null> {
    for (;;) {
      const now = this.clock.now();
      const [due] = await this.records
        .find({ lease_until: { $lte: now } }, { next_look: 1, lease_until: 1 })
        .sort({ next_look: 1 })
        .limit(1)
        .lean();
      if (!due || due.next_look > now) return due?.next_look ?? null;
      const record = await this.records
        .findOneAndUpdate(
          { _id: due._id, next_look: due.next_look, lease_until: due.lease_until },
          { $set: { lease_token: token, lease_until: this.leaseEnd() } },
          { returnDocument: 'after' },
        )
        .lean();
      // Another replica may have been faster; then there may be another one due.
      if (record) return { environment: fromRecord(record), token, failures: record.failures };
    }
  }

  /** For a look that takes long. @returns whether the lease still was ours */
  async renew({ environment, token }: Claim): Promise<boolean> {
    const result = await this.records.updateOne(
      { _id: new Types.ObjectId(environment.id), lease_token: token },
      { $set: { lease_until: this.leaseEnd() } },
    );
    return result.matchedCount === 1;
  }

  /**
   * Writes what was seen, if the lease is still ours and nothing was written since the claim.
   * @param lookInMs the next look
   * @param failures looks in a row that failed, this one included
   * @returns the environment as it is now; null when the finding was dropped: then it is due again at once
   */
  async record(claim: Claim, next: Finding, lookInMs: number, failures: number): Promise<Environment | null> {
    const { environment: before, token } = claim;
    const changed = !sameShown(before.shown, next.shown);
    const now = this.clock.now();
    const statusVersion = before.statusVersion + (changed ? 1 : 0);
    const news = newsOf(before, { ...before, shown: next.shown, statusVersion }, now);
    const update: UpdateQuery<EnvironmentRecord> = {
      $set: {
        ...withNews(before, news, now),
        observed: next.observed,
        shown: next.shown,
        status: next.shown.status,
        since: next.since,
        progress_at: next.progressAt,
        next_look: new Date(now.getTime() + lookInMs),
        ...NO_LEASE,
        failures,
        ...(next.startedAt ? { started_at: next.startedAt, last_activity_at: next.startedAt, keep_until: null } : {}),
        ...(changed ? { updated_at: now } : {}),
      },
      $inc: { revision: 1, ...(changed ? { status_version: 1 } : {}) },
      ...placesGivenBack(next.shown.status),
    };
    const record = await this.records
      .findOneAndUpdate({ ...unchanged(before), lease_token: token }, update, { returnDocument: 'after' })
      .lean();
    if (!record) await this.giveBack(claim);
    return toEnvironment(record);
  }

  /** Ends the look without a finding. Due at once even where the lease was lost: what was done meanwhile must be seen. */
  async giveBack({ environment, token }: Claim): Promise<void> {
    const _id = new Types.ObjectId(environment.id);
    const now = this.clock.now();
    await this.records.updateOne({ _id, next_look: { $gt: now } }, { $set: { next_look: now } });
    await this.records.updateOne({ _id, lease_token: token }, { $set: NO_LEASE });
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

  /** Environments of a runtime that are at rest and have had a volume, by whether any was there at the last look. */
  async atRest(kind: RuntimeKind, seen: 'something' | 'nothing'): Promise<readonly Place[]> {
    const records = await this.records
      .find(
        {
          runtime_kind: kind,
          status: { $in: ['stopped', 'error'] },
          'observed.ranOnce': true,
          'observed.seen': seen === 'nothing' ? 'absent' : { $ne: 'absent' },
        },
        { user_id: 1, cluster_id: 1 },
      )
      .lean();
    return records.map(({ _id, user_id, cluster_id }) => ({
      environmentId: _id.toHexString(),
      userId: user_id.toHexString(),
      clusterId: cluster_id,
    }));
  }

  /** Somebody has reason to think that these are not as they were seen. */
  async makeDue(ids: readonly string[]): Promise<void> {
    const now = this.clock.now();
    const these = { _id: { $in: ids.map((id) => new Types.ObjectId(id)) }, next_look: { $gt: now } };
    await this.records.updateMany(these, { $set: { next_look: now } });
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

  /** Which of these there are. */
  async known(ids: readonly string[]): Promise<ReadonlySet<string>> {
    const records = await this.records.find({ _id: { $in: ids.map((id) => new Types.ObjectId(id)) } }, { _id: 1 }).lean();
    return new Set(records.map(({ _id }) => _id.toHexString()));
  }

  private leaseEnd(): Date {
    return new Date(this.clock.millis() + LEASE_MS);
  }
}
