import { type Plan } from '@devpocket/access';
import { EMAIL_RULES, FULL_NAME_RULES, PLANS, type Region, REGIONS } from '@devpocket/users';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsNotEmpty, IsOptional, IsString } from 'class-validator';
import { MayBeAbsent, NewPassword, Obeys } from './text-rules';

export class UpdateMeDto {
  @ApiPropertyOptional({ type: 'string', maxLength: 100, nullable: true })
  @IsOptional()
  @Obeys(FULL_NAME_RULES)
  full_name?: string | null;

  @ApiPropertyOptional({ type: 'string', enum: [...REGIONS, null], nullable: true })
  @IsOptional()
  @IsIn(REGIONS, { message: `preferred_region must be one of ${REGIONS.join(', ')}`, context: { code: 'invalid_region' } })
  preferred_region?: Region | null;

  @ApiPropertyOptional({ type: 'string', format: 'email', maxLength: 254, description: 'Another one needs `current_password`' })
  @MayBeAbsent()
  @Obeys(EMAIL_RULES)
  email?: string;

  @ApiPropertyOptional({ type: 'string', format: 'password', minLength: 1 })
  @MayBeAbsent()
  @IsNotEmpty({ message: 'current_password must not be empty', context: { code: 'required' } })
  @IsString()
  current_password?: string;
}

export class RemoveAccountDto {
  @ApiPropertyOptional({
    type: 'string',
    format: 'password',
    minLength: 1,
    description: 'Left out of an account that has none: a Google sign-in less than 5 minutes old takes its place',
  })
  @MayBeAbsent()
  @IsNotEmpty({ message: 'password is needed', context: { code: 'required' } })
  @IsString()
  password?: string;
}

export class ChangePasswordDto {
  @ApiProperty({ type: 'string', format: 'password', minLength: 1 })
  @IsNotEmpty({ message: 'current_password is needed', context: { code: 'required' } })
  @IsString()
  current_password!: string;

  @NewPassword()
  new_password!: string;
}

export class UpdateUserDto {
  @ApiPropertyOptional({ type: 'string', enum: PLANS })
  @MayBeAbsent()
  @IsIn(PLANS, { message: `subscription_plan must be one of ${PLANS.join(', ')}`, context: { code: 'invalid_plan' } })
  subscription_plan?: Plan;

  @ApiPropertyOptional({ type: 'boolean' })
  @MayBeAbsent()
  @IsBoolean()
  is_active?: boolean;

  @ApiPropertyOptional({ type: 'boolean' })
  @MayBeAbsent()
  @IsBoolean()
  is_verified?: boolean;
}
