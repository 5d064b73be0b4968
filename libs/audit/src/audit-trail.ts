import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { type AuditEntry } from './audit-entry';
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
}
