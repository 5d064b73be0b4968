import { newId } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectConnection } from '@nestjs/mongoose';
import { type Connection } from 'mongoose';

interface InstallationRecord {
  readonly _id: string;
  readonly install: string;
}

/** Which installation this database belongs to: runtimes mark with it what is ours. */
@Injectable()
export class Installation {
  private known: Promise<string> | null = null;

  constructor(@InjectConnection() private readonly connection: Connection) {}

  /** 24 hexadecimal digits, made with the database and never changed. */
  id(): Promise<string> {
    this.known ??= this.read().catch((error: unknown) => {
      this.known = null;
      throw error;
    });
    return this.known;
  }

  private async read(): Promise<string> {
    const records = this.connection.collection<InstallationRecord>('installation');
    const update = { $setOnInsert: { install: newId() } };
    const record = await records.findOneAndUpdate({ _id: 'installation' }, update, { upsert: true, returnDocument: 'after' });
    if (!record) throw new Error('An upsert gave no document');
    return record.install;
  }
}
