import { type Plan } from '@devpocket/access';
import { AllowanceRegistry, AllowanceSource, type AllowanceUsage } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { EnvironmentRepository } from './environment.repository';

/** Tells the allowance what an account uses of its plan. */
@Injectable()
export class EnvironmentAllowance extends AllowanceSource {
  constructor(
    private readonly environments: EnvironmentRepository,
    registry: AllowanceRegistry,
  ) {
    super();
    registry.join(this);
  }

  async usageOf(userId: string, _plan: Plan): Promise<AllowanceUsage> {
    const places = await this.environments.places(userId);
    return { active: places.active.length, kept: places.kept.length, largest: null };
  }
}
