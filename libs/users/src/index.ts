export {
  EMAIL_RULES,
  FULL_NAME_RULES,
  nameKey,
  PASSWORD_MAX_BYTES,
  PASSWORD_RULES,
  type Region,
  REGIONS,
  textFaults,
  type TextRule,
  USERNAME_RULES,
} from './account.policy';
export { AllowanceRegistry, AllowanceSource } from './allowance-registry';
export {
  type Allowance,
  type AllowanceUsage,
  bytesQuantity,
  cpuQuantity,
  type Limit,
  LIMIT_NAMES,
  type LimitName,
  type ResourceAmounts,
} from './allowance.policy';
export { CredentialsService } from './credentials.service';
export * from './plan.policy';
export { type RemovalParticipant, RemovalRegistry } from './removal-registry';
export * from './user';
export { toUserDto, UserDto } from './user.dto';
export * from './users.errors';
export * from './users.module';
export * from './users.service';
