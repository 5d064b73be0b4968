import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type Environment } from './environment';
import { fromRecord } from './environment-records';
import { EnvironmentRecord } from './environment.schema';

/** The tellers' side of the collection: which environments have something that was written and not told. */
@Injectable()
export class NewsRepository {
  constructor(
    @InjectModel(EnvironmentRecord.name) private readonly records: Model<EnvironmentRecord>,
    private readonly clock: Clock,
  ) {}

  /** Those whose writers did not tell it in time, the longest waiting first. */
  async overdue(limit: number): Promise<readonly Environment[]> {
    const records = await this.records
      .find({ tell_due: { $lte: this.clock.now() } })
      .sort({ tell_due: 1 })
      .limit(limit)
      .lean();
    return records.map(fromRecord);
  }

  /** All of it is told, unless more was added since `environment` was read: that remains, with what was told already. */
  async told({ id, untold, untoldAt }: Environment): Promise<void> {
    if (untold.length === 0) return;
    await this.records.updateOne(
      { _id: new Types.ObjectId(id), untold_at: untoldAt },
      { $set: { untold: [] }, $unset: { untold_at: 1, tell_due: 1 } },
    );
  }
}
