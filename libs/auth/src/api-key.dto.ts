import { type Scope, SCOPES } from '@devpocket/access';
import { type TextRule } from '@devpocket/users';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayNotEmpty, ArrayUnique, IsArray, IsIn, IsISO8601, IsOptional } from 'class-validator';
import { type ApiKey } from './api-key';
import { Obeys } from './text-rules';

const NAME_RULES: readonly TextRule[] = [
  {
    code: 'invalid_key_name',
    message: 'must be 1–50 characters without control characters',
    holds: (text) => /^[^\p{Cc}\u2028\u2029]{1,50}$/u.test(text) && text.trim() !== '' && text.isWellFormed(),
  },
];

const EXPIRY = 'expires_at must be a time as in 2027-01-31T12:00:00Z';

export class CreateApiKeyDto {
  @ApiProperty({ type: 'string', minLength: 1, maxLength: 50 })
  @Obeys(NAME_RULES)
  name!: string;

  @ApiProperty({ type: 'array', items: { type: 'string', enum: [...SCOPES] }, minItems: 1, uniqueItems: true })
  @IsIn(SCOPES, { each: true, message: `scopes must be of ${SCOPES.join(', ')}`, context: { code: 'invalid_scope' } })
  @ArrayUnique({ message: 'scopes must name each once', context: { code: 'invalid_scope' } })
  @ArrayNotEmpty({ message: 'scopes must name at least one', context: { code: 'required' } })
  @IsArray()
  scopes!: Scope[];

  @ApiPropertyOptional({ type: 'string', format: 'date-time', nullable: true, description: 'null: the key does not expire' })
  @IsOptional()
  @IsISO8601({ strict: true, strictSeparator: true }, { message: EXPIRY, context: { code: 'invalid_time' } })
  expires_at?: string | null;
}

export class ApiKeyDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  id!: string;

  @ApiProperty({ type: 'string' })
  name!: string;

  @ApiProperty({ type: 'string', pattern: '^dp_[A-Za-z0-9]{8}$', description: 'What the key begins with' })
  prefix!: string;

  @ApiProperty({ type: 'array', items: { type: 'string', enum: [...SCOPES] } })
  scopes!: Scope[];

  @ApiProperty({ type: 'string', format: 'date-time' })
  created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  expires_at!: string | null;

  @ApiProperty({ type: 'string', format: 'date-time', nullable: true, description: 'To the minute' })
  last_used_at!: string | null;
}

export class NewApiKeyDto extends ApiKeyDto {
  @ApiProperty({ type: 'string', description: 'The key itself; shown this once' })
  key!: string;
}

export function toApiKeyDto(apiKey: ApiKey): ApiKeyDto {
  return {
    id: apiKey.id,
    name: apiKey.name,
    prefix: apiKey.prefix,
    scopes: [...apiKey.scopes],
    created_at: apiKey.createdAt.toISOString(),
    expires_at: apiKey.expiresAt?.toISOString() ?? null,
    last_used_at: apiKey.lastUsedAt?.toISOString() ?? null,
  };
}
