import { PageQuery } from '@devpocket/http';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsISO8601, IsOptional, Matches, MaxLength } from 'class-validator';
import { type AuditFilter, type KeptAuditEntry } from './audit-entry';

const time = (field: string): string => `${field} must be a time as in 2027-01-31T12:00:00Z`;

export class AuditQuery extends PageQuery {
  @ApiPropertyOptional({ type: 'string', pattern: '^[0-9a-f]{24}$', description: 'The id of who did it' })
  @IsOptional()
  @Matches(/^[0-9a-f]{24}$/, { message: 'actor must be the id of an account' })
  actor?: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 64, description: 'As `session.revoked`' })
  @IsOptional()
  @Matches(/^[a-z_.]{1,64}$/, { message: 'action must be a name as session.revoked' })
  action?: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 128, description: 'As `user:<id>`' })
  @IsOptional()
  @MaxLength(128)
  @Matches(/^[\x21-\x7e]+$/, { message: 'target must be a name as user:0123456789abcdef01234567' })
  target?: string;

  @ApiPropertyOptional({ type: 'string', format: 'date-time', description: 'Not before' })
  @IsOptional()
  @IsISO8601({ strict: true, strictSeparator: true }, { message: time('from') })
  from?: string;

  @ApiPropertyOptional({ type: 'string', format: 'date-time', description: 'Before' })
  @IsOptional()
  @IsISO8601({ strict: true, strictSeparator: true }, { message: time('to') })
  to?: string;

  toFilter(): AuditFilter {
    const { actor, action, target, from, to } = this;
    return {
      ...(actor === undefined ? {} : { actor }),
      ...(action === undefined ? {} : { action }),
      ...(target === undefined ? {} : { target }),
      ...(from === undefined ? {} : { from: new Date(from) }),
      ...(to === undefined ? {} : { to: new Date(to) }),
    };
  }
}

export class AuditEntryDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  id!: string;

  @ApiProperty({ type: 'string', format: 'date-time' })
  timestamp!: string;

  @ApiProperty({ type: 'string', nullable: true, description: 'The id of who did it; null: nobody who is signed in' })
  actor!: string | null;

  @ApiProperty({ type: 'string', description: 'As `session.revoked`' })
  action!: string;

  @ApiProperty({ type: 'string', nullable: true, description: 'As `user:<id>`' })
  target!: string | null;

  @ApiProperty({ type: 'string', enum: ['success', 'failure'] })
  result!: 'success' | 'failure';

  @ApiProperty({ type: 'string', nullable: true })
  ip!: string | null;

  @ApiProperty({ type: 'string', nullable: true })
  request_id!: string | null;

  @ApiProperty({
    type: 'object',
    description: 'Further facts, never secret',
    additionalProperties: { oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }], nullable: true },
  })
  details!: Record<string, string | number | boolean | null>;
}

export function toAuditEntryDto({ id, at, requestId, details, ...entry }: KeptAuditEntry): AuditEntryDto {
  const { actor, action, target, result, ip } = entry;
  return { id, timestamp: at.toISOString(), actor, action, target, result, ip, request_id: requestId, details: { ...details } };
}
