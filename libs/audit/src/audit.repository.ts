import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type AuditEntry } from './audit-entry';
import { AuditRecord } from './audit-entry.schema';

/** Append-only: entries are inserted, never changed, and deleted by their age alone. */
@Injectable()
export class AuditRepository {
  constructor(@InjectModel(AuditRecord.name) private readonly entries: Model<AuditRecord>) {}

  async append(entry: AuditEntry, at: Date): Promise<void> {
    await this.entries.create({
      _id: new Types.ObjectId(),
      at,
      actor: entry.actor,
      action: entry.action,
      target: entry.target,
      result: entry.result,
      ip: entry.ip,
      request_id: entry.requestId,
      details: entry.details ? { ...entry.details } : null,
    });
  }
}
