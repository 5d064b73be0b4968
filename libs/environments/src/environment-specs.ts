import { Installation } from '@devpocket/database';
import { type EnvironmentSpec, type Place, type UserQuota } from '@devpocket/runtime';
import { PLAN_LIMITS, UsersService } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { type Environment } from './environment';

/** What drivers are told of an environment. */
@Injectable()
export class EnvironmentSpecs {
  constructor(
    private readonly users: UsersService,
    private readonly installation: Installation,
  ) {}

  /** How the wanted generation should run. */
  async of(environment: Environment): Promise<EnvironmentSpec> {
    return {
      ...placeOf(environment),
      install: await this.installation.id(),
      incarnation: environment.wanted.generation,
      name: environment.name,
      image: environment.image,
      defaultPort: environment.defaultPort,
      resources: environment.limits,
      environmentVariables: { ...environment.templateVariables, ...environment.environmentVariables },
      startupCommands: environment.startupCommands,
      quota: await this.quotaOf(environment.userId),
      readOnlyRoot: environment.readOnlyRoot,
      soleUser: await this.users.isSoleUser(),
    };
  }

  private async quotaOf(userId: string): Promise<UserQuota> {
    // Of an account that is going away the least: its environments go too.
    const plan = (await this.users.find(userId))?.plan ?? 'free';
    const { active, kept, cpuMillis, memoryBytes, storageBytes } = PLAN_LIMITS[plan];
    return { active, kept, each: { cpuMillis, memoryBytes, storageBytes } };
  }
}

export function placeOf(environment: Environment): Place {
  return { environmentId: environment.id, userId: environment.userId, clusterId: environment.clusterId };
}
