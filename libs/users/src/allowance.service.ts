import { type Principal } from '@devpocket/access';
import { AuthSettings } from '@devpocket/config';
import { Injectable } from '@nestjs/common';
import { type Allowance, allowanceOf } from './allowance.policy';
import { AllowanceRegistry } from './allowance-registry';

@Injectable()
export class AllowanceService {
  constructor(
    private readonly registry: AllowanceRegistry,
    private readonly auth: AuthSettings,
  ) {}

  async allowanceOf({ userId, plan, isVerified }: Principal): Promise<Allowance> {
    const usage = await this.registry.usageOf(userId, plan);
    return allowanceOf(plan, usage, isVerified || !this.auth.verifiesEmail);
  }
}
