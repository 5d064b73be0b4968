import { olderThan } from '@devpocket/database';
import { type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { accountOf, type AuditEntry, type AuditFilter, type KeptAuditEntry } from './audit-entry';
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
      account: accountOf(entry),
      action: entry.action,
      target: entry.target,
      result: entry.result,
      ip: entry.ip,
      request_id: entry.requestId,
      details: entry.details ? { ...entry.details } : null,
    });
  }

  async search({ from, to, ...fields }: AuditFilter, { limit, after }: PageRequest): Promise<Page<KeptAuditEntry>> {
    const at = { ...(from ? { $gte: from } : {}), ...(to ? { $lt: to } : {}) };
    const wanted = { ...fields, ...(from || to ? { at } : {}) };
    const older = olderThan('at', after);
    const [records, total] = await Promise.all([
      this.entries
        .find({ ...wanted, ...older })
        .sort({ at: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.entries.countDocuments(wanted),
    ]);
    return toPage(records.map(toEntry), limit, total, (entry) => ({ time: entry.at.getTime(), id: entry.id }));
  }
}

function toEntry(record: AuditRecord): KeptAuditEntry {
  const { _id, at, actor, action, target, result, ip, request_id: requestId, details } = record;
  return { id: _id.toHexString(), at, actor, action, target, result, ip, requestId, details: details ?? {} };
}
