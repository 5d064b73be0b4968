import { type Plan, type Role } from '@devpocket/access';
import { ApiProperty } from '@nestjs/swagger';
import { type Region, REGIONS } from './account.policy';
import { type Allowance, bytesQuantity, cpuQuantity, LIMIT_NAMES } from './allowance.policy';
import { PLANS } from './plan.policy';
import { type User } from './user';

/** A user as clients see it (contract §2). */
export class UserDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  id!: string;

  @ApiProperty({ type: 'string' })
  username!: string;

  @ApiProperty({ type: 'string' })
  email!: string;

  @ApiProperty({ type: 'string', nullable: true })
  full_name!: string | null;

  @ApiProperty({ type: 'boolean' })
  is_active!: boolean;

  @ApiProperty({ type: 'boolean' })
  is_verified!: boolean;

  @ApiProperty({ type: 'string', nullable: true })
  avatar_url!: string | null;

  @ApiProperty({ type: 'string', enum: PLANS })
  subscription_plan!: Plan;

  @ApiProperty({ type: 'string', enum: ['user', 'admin'] })
  role!: Role;

  @ApiProperty({ type: 'string', enum: [...REGIONS, null], nullable: true })
  preferred_region!: Region | null;

  @ApiProperty({ type: 'string', format: 'date-time' })
  created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  last_login!: string | null;
}

export function toUserDto(user: User): UserDto {
  return {
    id: user.id,
    username: user.username,
    email: user.email,
    full_name: user.fullName,
    is_active: user.isActive,
    is_verified: user.isVerified,
    avatar_url: user.avatarUrl,
    subscription_plan: user.plan,
    role: user.role,
    preferred_region: user.preferredRegion,
    created_at: user.createdAt.toISOString(),
    last_login: user.lastLogin?.toISOString() ?? null,
  };
}

export class LimitDto {
  @ApiProperty({ type: 'string', enum: Object.values(LIMIT_NAMES) })
  name!: string;

  @ApiProperty({ type: 'integer', nullable: true, description: 'In the unit that the name says, else a count; null: no limit' })
  allowed!: number | null;

  @ApiProperty({ type: 'integer', nullable: true, description: 'Null for what is limited per environment' })
  used!: number | null;

  @ApiProperty({ type: 'string', enum: PLANS })
  plan!: Plan;
}

export class LargestResourcesDto {
  @ApiProperty({ type: 'string', description: 'A Kubernetes quantity, as the next two', example: '500m' })
  cpu!: string;

  @ApiProperty({ type: 'string', example: '1Gi' })
  memory!: string;

  @ApiProperty({ type: 'string', example: '5Gi' })
  storage!: string;
}

export class AllowanceDto {
  @ApiProperty({ type: 'string', enum: PLANS })
  plan!: Plan;

  @ApiProperty({ type: [LimitDto] })
  limits!: LimitDto[];

  @ApiProperty({ type: 'boolean', description: 'Is there room for one more environment that runs?' })
  can_create!: boolean;

  @ApiProperty({ type: LargestResourcesDto, description: 'Of a further environment; zeros when none can be created' })
  largest_resources!: LargestResourcesDto;
}

export function toAllowanceDto({ plan, limits, canCreate, largestResources: largest }: Allowance): AllowanceDto {
  return {
    plan,
    limits: limits.map(({ name, allowed, used, plan: by }) => ({ name, allowed, used, plan: by })),
    can_create: canCreate,
    largest_resources: {
      cpu: cpuQuantity(largest.cpuMillis),
      memory: bytesQuantity(largest.memoryBytes),
      storage: bytesQuantity(largest.storageBytes),
    },
  };
}
