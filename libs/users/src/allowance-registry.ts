import { type Plan } from '@devpocket/access';
import { Injectable } from '@nestjs/common';
import { type AllowanceUsage } from './allowance.policy';

/** Whoever knows what an account uses; environments joins from above. */
export abstract class AllowanceSource {
  abstract usageOf(userId: string, plan: Plan): Promise<AllowanceUsage>;
}

/** Where the source joins; until one has, nothing is in use. */
@Injectable()
export class AllowanceRegistry extends AllowanceSource {
  private source: AllowanceSource | null = null;

  join(source: AllowanceSource): void {
    if (this.source) throw new Error('There is an allowance source already');
    this.source = source;
  }

  usageOf(userId: string, plan: Plan): Promise<AllowanceUsage> {
    return this.source?.usageOf(userId, plan) ?? Promise.resolve({ active: 0, kept: 0, largest: null });
  }
}
