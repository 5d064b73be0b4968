import { Clock, type Page, type PageRequest } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { type AuditEntry, type AuditFilter, type KeptAuditEntry } from './audit-entry';
import { AuditRepository } from './audit.repository';

/** Who did what, kept 180 days. */
@Injectable()
export class AuditTrail {
  constructor(
    private readonly entries: AuditRepository,
    private readonly clock: Clock,
  ) {}

  /** Resolves once the entry is kept. */
  record(entry: AuditEntry): Promise<void> {
    return this.entries.append(entry, this.clock.now());
  }

  /** Newest first. */
  search(filter: AuditFilter, page: PageRequest): Promise<Page<KeptAuditEntry>> {
    return this.entries.search(filter, page);
  }
}
