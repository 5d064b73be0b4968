import { EMAIL_RULES, FULL_NAME_RULES, type Region, REGIONS, USERNAME_RULES } from '@devpocket/users';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsNotEmpty, IsOptional, IsString } from 'class-validator';
import { type Session } from './session.machine';
import { NewPassword, Obeys } from './text-rules';
import { type TokenPair } from './token-pairs';

export class RegisterDto {
  @ApiProperty({ type: 'string', pattern: '^[A-Za-z0-9_-]{3,30}$', description: 'Unique without regard to case' })
  @Obeys(USERNAME_RULES)
  username!: string;

  @ApiProperty({ type: 'string', format: 'email', maxLength: 254, description: 'Unique without regard to case' })
  @Obeys(EMAIL_RULES)
  email!: string;

  @NewPassword()
  password!: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 100, nullable: true })
  @IsOptional()
  @Obeys(FULL_NAME_RULES)
  full_name?: string | null;

  @ApiPropertyOptional({ type: 'string', enum: [...REGIONS, null], nullable: true })
  @IsOptional()
  @IsIn(REGIONS, { message: `preferred_region must be one of ${REGIONS.join(', ')}`, context: { code: 'invalid_region' } })
  preferred_region?: Region | null;
}

/** What a body of these routes may have: a name that is too long is no other answer than a wrong one. */
const MOST_BYTES = 65_536;

export class LoginDto {
  @ApiProperty({ type: 'string', minLength: 1, maxLength: MOST_BYTES })
  @IsNotEmpty({ message: 'username_or_email is needed', context: { code: 'required' } })
  @IsString()
  username_or_email!: string;

  @ApiProperty({ type: 'string', format: 'password', minLength: 1 })
  @IsNotEmpty({ message: 'password is needed', context: { code: 'required' } })
  @IsString()
  password!: string;
}

export class RefreshDto {
  @ApiProperty({ type: 'string', minLength: 1, maxLength: MOST_BYTES })
  @IsNotEmpty({ message: 'refresh_token is needed', context: { code: 'required' } })
  @IsString()
  refresh_token!: string;
}

export class TokenDto {
  @ApiProperty({ type: 'string', description: 'JWT, HS256' })
  access_token!: string;

  @ApiProperty({ type: 'string', description: 'Opaque; each refresh gives the next one' })
  refresh_token!: string;

  @ApiProperty({ type: 'string', enum: ['bearer'] })
  token_type!: 'bearer';

  @ApiProperty({ type: 'integer', description: 'Seconds that the access token lives' })
  expires_in!: number;
}

export function toTokenDto({ accessToken, refreshToken, expiresIn }: TokenPair): TokenDto {
  return { access_token: accessToken, refresh_token: refreshToken, token_type: 'bearer', expires_in: expiresIn };
}

export class MessageDto {
  @ApiProperty({ type: 'string' })
  message!: string;
}

export class SessionDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  id!: string;

  @ApiProperty({ type: 'string', nullable: true })
  user_agent!: string | null;

  @ApiProperty({ type: 'string', nullable: true })
  ip!: string | null;

  @ApiProperty({ type: 'string', format: 'date-time' })
  created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time' })
  last_used_at!: string;

  @ApiProperty({ type: 'boolean', description: 'The session that asks' })
  current!: boolean;
}

export function toSessionDto(session: Session, currentId: string): SessionDto {
  return {
    id: session.id,
    user_agent: session.userAgent,
    ip: session.ip,
    created_at: session.createdAt.toISOString(),
    last_used_at: session.lastUsedAt.toISOString(),
    current: session.id === currentId,
  };
}
