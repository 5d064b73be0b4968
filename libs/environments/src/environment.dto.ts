import { ToInteger, PageQuery } from '@devpocket/http';
import { parseTime, REGIONS, type Region } from '@devpocket/kernel';
import { PHASES, type Phase, STATUS_REASONS, type StatusReason } from '@devpocket/runtime';
import { type TicketPurpose } from '@devpocket/shared-state';
import { ApiProperty, ApiPropertyOptional, OmitType } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  IsDate,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { type DesiredStatus, STATUSES, type Status } from './environment';

const NAME = /^(?!-)[A-Za-z0-9_-]{1,50}(?<!-)$/;
const NAME_MESSAGE = 'must be 1–50 of letters, digits, - and _, not beginning or ending with -';
/** Names such as `toString` would not survive the copying of a plain object. */
const asGiven = ({ obj, key }: { obj: Readonly<Record<string, unknown>>; key: string }): unknown => obj[key];
const given = (_object: unknown, value: unknown): boolean => value !== undefined;

export class ResourcesInput {
  @ApiPropertyOptional({ type: 'string', maxLength: 32, description: 'A Kubernetes quantity, as the next two', example: '500m' })
  @ValidateIf(given)
  @MaxLength(32)
  @IsString()
  cpu?: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 32, example: '1Gi' })
  @ValidateIf(given)
  @MaxLength(32)
  @IsString()
  memory?: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 32, example: '5Gi' })
  @ValidateIf(given)
  @MaxLength(32)
  @IsString()
  storage?: string;
}

export class CreateEnvironmentDto {
  @ApiProperty({ type: 'string', pattern: NAME.source, description: 'Unique among the caller’s; kept in lower case' })
  @Matches(NAME, { message: `name ${NAME_MESSAGE}`, context: { code: 'invalid_name' } })
  name!: string;

  @ApiProperty({ type: 'string', minLength: 1, maxLength: 50, example: 'ubuntu' })
  @Length(1, 50)
  @IsString()
  template!: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 500, nullable: true })
  @IsOptional()
  @MaxLength(500)
  @IsString()
  description?: string | null;

  @ApiPropertyOptional({
    type: 'string',
    minLength: 1,
    maxLength: 500,
    nullable: true,
    description: 'Only for the template `custom`',
  })
  @IsOptional()
  @Length(1, 500)
  @IsString()
  image?: string | null;

  @ApiPropertyOptional({ type: ResourcesInput })
  @ValidateIf(given)
  @ValidateNested()
  @Type(() => ResourcesInput)
  @IsObject()
  resources?: ResourcesInput;

  @ApiPropertyOptional({ type: 'object', additionalProperties: { type: 'string' }, description: 'At most 100, 32 KiB in all' })
  @ValidateIf(given)
  @Transform(asGiven)
  @IsObject()
  environment_variables?: Record<string, string>;

  @ApiPropertyOptional({ type: 'string', enum: [...REGIONS, null], nullable: true })
  @IsOptional()
  @IsIn(REGIONS, { context: { code: 'invalid_region' } })
  region?: Region | null;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    maximum: 100_000,
    nullable: true,
    description: 'Null: the plan’s; 0: never (plan admin)',
  })
  @IsOptional()
  @Min(0)
  @Max(100_000)
  @IsInt()
  auto_stop_minutes?: number | null;
}

export class ChangeEnvironmentDto {
  @ApiPropertyOptional({ type: 'string', pattern: NAME.source })
  @ValidateIf(given)
  @Matches(NAME, { message: `name ${NAME_MESSAGE}`, context: { code: 'invalid_name' } })
  name?: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 500, nullable: true })
  @IsOptional()
  @MaxLength(500)
  @IsString()
  description?: string | null;

  @ApiPropertyOptional({ type: ResourcesInput })
  @ValidateIf(given)
  @ValidateNested()
  @Type(() => ResourcesInput)
  @IsObject()
  resources?: ResourcesInput;

  @ApiPropertyOptional({ type: 'object', additionalProperties: { type: 'string' }, description: 'Replaces all' })
  @ValidateIf(given)
  @Transform(asGiven)
  @IsObject()
  environment_variables?: Record<string, string>;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, maximum: 100_000, nullable: true })
  @IsOptional()
  @Min(0)
  @Max(100_000)
  @IsInt()
  auto_stop_minutes?: number | null;

  @ApiPropertyOptional({
    type: 'string',
    enum: ['latest'],
    description:
      'Moves it to the version of its template that is offered now: image, variables and port; effective with a restart',
  })
  @ValidateIf(given)
  @IsIn(['latest'], { message: 'template_version must be latest', context: { code: 'invalid_template_version' } })
  template_version?: 'latest';
}

export class KeepAliveDto {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: 240 })
  @Min(1)
  @Max(240)
  @IsInt()
  minutes!: number;
}

export class EnvironmentQuery extends PageQuery {
  @ApiPropertyOptional({ type: 'string', enum: STATUSES })
  @IsOptional()
  @IsIn(STATUSES, { context: { code: 'invalid_status' } })
  status?: Status;

  @ApiPropertyOptional({ type: 'string', maxLength: 50 })
  @IsOptional()
  @MaxLength(50)
  @IsString()
  template?: string;
}

export class AdminEnvironmentQuery extends PageQuery {
  @ApiPropertyOptional({ type: 'string', enum: STATUSES })
  @IsOptional()
  @IsIn(STATUSES, { context: { code: 'invalid_status' } })
  status?: Status;

  @ApiPropertyOptional({ type: 'string', pattern: '^[0-9a-f]{24}$', description: 'The id of whose they are' })
  @IsOptional()
  @Matches(/^[0-9a-f]{24}$/, { message: 'user must be the id of an account' })
  user?: string;
}

export class MetricsQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 168, default: 24 })
  @IsOptional()
  @ToInteger()
  @Min(1)
  @Max(168)
  @IsInt()
  hours?: number;
}

export class LogsQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 1000, default: 100 })
  @IsOptional()
  @ToInteger()
  @Min(1)
  @Max(1000)
  @IsInt()
  lines?: number;

  @ApiPropertyOptional({ type: 'string', format: 'date-time' })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? (parseTime(value) ?? value) : value))
  @IsDate({ message: 'since must be a time such as 2026-01-31T12:00:00Z', context: { code: 'invalid_time' } })
  since?: Date;

  @ApiPropertyOptional({
    type: 'string',
    pattern: '^[\\x21-\\x7e]{1,128}$',
    description: 'The cursor of a line: those that follow it',
  })
  @IsOptional()
  @Matches(/^[\x21-\x7e]{1,128}$/, { message: 'after must be the cursor of a line', context: { code: 'invalid_cursor' } })
  after?: string;
}

export class TicketRequestDto {
  @ApiProperty({ type: 'string', enum: ['terminal', 'logs', 'events'] })
  @IsIn(['terminal', 'logs', 'events'], { context: { code: 'invalid_purpose' } })
  purpose!: TicketPurpose;

  @ApiPropertyOptional({ type: 'string', maxLength: 64, nullable: true, description: 'Needed for `terminal` and `logs`' })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? value.toLowerCase() : value))
  @MaxLength(64)
  @IsString()
  environment_id?: string | null;
}

export class TicketDto {
  @ApiProperty({ type: 'string' })
  ticket!: string;
  @ApiProperty({ type: 'integer', description: 'Seconds' })
  expires_in!: number;
}

export class MessageDto {
  @ApiProperty({ type: 'string' })
  message!: string;
}

export class EnvironmentResourcesDto {
  @ApiProperty({ type: 'string', example: '500m' })
  cpu!: string;
  @ApiProperty({ type: 'string', example: '1Gi' })
  memory!: string;
  @ApiProperty({ type: 'string', example: '5Gi' })
  storage!: string;
}

/** Contract §4. */
export class EnvironmentDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  id!: string;
  @ApiProperty({ type: 'string' })
  user_id!: string;
  @ApiProperty({ type: 'string' })
  name!: string;
  @ApiProperty({ type: 'string', nullable: true })
  description!: string | null;
  @ApiProperty({ type: 'string' })
  template!: string;
  @ApiProperty({ type: 'integer', minimum: 1, description: 'Of the template that it is made from' })
  template_version!: number;
  @ApiProperty({ type: 'boolean', description: 'Is a later version of its template offered?' })
  outdated!: boolean;
  @ApiProperty({ type: 'string', nullable: true })
  image!: string | null;
  @ApiProperty({ type: 'string', enum: STATUSES })
  status!: Status;
  @ApiProperty({ type: 'string', enum: ['running', 'stopped', 'deleted'] })
  desired_status!: DesiredStatus;
  @ApiProperty({ type: 'string', enum: [...PHASES, null], nullable: true })
  phase!: Phase | null;
  @ApiProperty({ type: 'integer', minimum: 0, maximum: 100, nullable: true })
  progress!: number | null;
  @ApiProperty({ type: 'string', enum: [...STATUS_REASONS, null], nullable: true })
  status_reason!: StatusReason | null;
  @ApiProperty({ type: 'string', nullable: true })
  status_message!: string | null;
  @ApiProperty({ type: 'integer' })
  status_version!: number;
  @ApiProperty({ type: 'boolean' })
  retryable!: boolean;
  @ApiProperty({ type: EnvironmentResourcesDto })
  resources!: EnvironmentResourcesDto;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  environment_variables!: Record<string, string>;
  @ApiProperty({ type: 'string', enum: [...REGIONS, null], nullable: true })
  region!: Region | null;
  @ApiProperty({ type: 'string', nullable: true })
  cluster_id!: string | null;
  @ApiProperty({ type: 'string', nullable: true })
  external_url!: string | null;
  @ApiProperty({ type: 'integer', nullable: true })
  web_port!: number | null;
  @ApiProperty({ type: 'string', format: 'date-time' })
  created_at!: string;
  @ApiProperty({ type: 'string', format: 'date-time' })
  updated_at!: string;
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  started_at!: string | null;
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  last_accessed!: string | null;
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  last_activity_at!: string | null;
  @ApiProperty({ type: 'integer', nullable: true })
  auto_stop_minutes!: number | null;
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  stop_at!: string | null;
  @ApiProperty({ type: 'number', nullable: true, description: 'Percent of the limit, as the next two' })
  cpu_usage!: number | null;
  @ApiProperty({ type: 'number', nullable: true })
  memory_usage!: number | null;
  @ApiProperty({ type: 'number', nullable: true })
  storage_usage!: number | null;
}

/** Without what may be its user's secret. */
export class AdminEnvironmentDto extends OmitType(EnvironmentDto, ['environment_variables']) {}

export class ChangedEnvironmentDto extends EnvironmentDto {
  @ApiProperty({
    type: [String],
    enum: ['resources', 'environment_variables', 'template_version'],
    description: 'What takes effect only with a restart',
  })
  restart_required!: string[];
}

export class StartedEnvironmentDto {
  @ApiProperty({ type: 'string' })
  message!: string;
  @ApiProperty({ type: EnvironmentDto })
  environment!: EnvironmentDto;
}

export class MetricDto {
  @ApiProperty({ type: 'string', format: 'date-time' })
  timestamp!: string;
  @ApiProperty({ type: 'number', nullable: true })
  cpu_usage!: number | null;
  @ApiProperty({ type: 'number', nullable: true })
  memory_usage!: number | null;
  @ApiProperty({ type: 'number', nullable: true })
  storage_usage!: number | null;
  @ApiProperty({ type: 'integer', nullable: true })
  network_rx!: number | null;
  @ApiProperty({ type: 'integer', nullable: true })
  network_tx!: number | null;
  @ApiProperty({ type: 'integer' })
  active_connections!: number;
}

export class MetricsDto {
  @ApiProperty({ type: 'string' })
  environment_id!: string;
  @ApiProperty({ type: 'number', nullable: true })
  cpu_usage!: number | null;
  @ApiProperty({ type: 'number', nullable: true })
  memory_usage!: number | null;
  @ApiProperty({ type: 'number', nullable: true })
  storage_usage!: number | null;
  @ApiProperty({ type: [MetricDto], description: 'Oldest first, at most 500' })
  metrics!: MetricDto[];
}

export class LogDto {
  @ApiProperty({ type: 'string', format: 'date-time' })
  timestamp!: string;
  @ApiProperty({ type: 'string', enum: ['debug', 'info', 'warn', 'error'] })
  level!: string;
  @ApiProperty({ type: 'string' })
  message!: string;
  @ApiProperty({ type: 'string', enum: ['system', 'startup', 'container'] })
  source!: string;
  @ApiProperty({ type: 'string' })
  cursor!: string;
}

export class LogsDto {
  @ApiProperty({ type: 'string' })
  environment_id!: string;
  @ApiProperty({ type: [LogDto], description: 'Oldest first' })
  logs!: LogDto[];
}

export class HistoryDto {
  @ApiProperty({ type: 'string', format: 'date-time' })
  timestamp!: string;
  @ApiProperty({ type: 'string' })
  type!: string;
  @ApiProperty({ type: 'string', nullable: true })
  reason!: string | null;
  @ApiProperty({ type: 'string', nullable: true })
  message!: string | null;
}
