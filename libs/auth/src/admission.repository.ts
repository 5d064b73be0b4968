import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import { type Connection } from 'mongoose';

/** `sole`: one account and no second. */
export type Admission = 'open' | 'sole' | 'closed';

interface AdmissionRecord {
  readonly _id: string;
  readonly admission: Admission;
}

const KEY = { _id: 'admission' };

/** What the last server on this database found of its runtime: commands that run beside it, or without one, ask here. */
@Injectable()
export class AdmissionRepository {
  constructor(@InjectConnection() private readonly connection: Connection) {}

  /** Null where no server has started yet. */
  async last(): Promise<Admission | null> {
    return (await this.records().findOne(KEY))?.admission ?? null;
  }

  async keep(admission: Admission): Promise<void> {
    await this.records().updateOne(KEY, { $set: { admission } }, { upsert: true });
  }

  private records(): ReturnType<typeof this.connection.collection<AdmissionRecord>> {
    return this.connection.collection<AdmissionRecord>('installation');
  }
}
