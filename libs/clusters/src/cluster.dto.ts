import { PageQuery } from '@devpocket/http';
import { REGIONS, type Region } from '@devpocket/kernel';
import { ApiProperty, ApiPropertyOptional, PartialType } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  IsArray,
  IsBase64,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { CLUSTER_STATUSES, type ClusterStatus } from './cluster';
import { CLUSTER_NAME, CLUSTER_NAME_MESSAGE, MOST_ENVIRONMENTS } from './cluster.policy';

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const;
const OPERATORS = ['Exists', 'Equal'] as const;
const given = (_object: unknown, value: unknown): boolean => value !== undefined;
/** Names such as `constructor` would not survive the copying of a plain object. */
const asGiven = ({ obj, key }: { obj: Readonly<Record<string, unknown>>; key: string }): unknown => obj[key];
/** `base64` breaks its lines. */
const withoutBreaks = ({ value }: { value: unknown }): unknown => (typeof value === 'string' ? value.replace(/\s+/g, '') : value);

/** Kubernetes, core/v1 Toleration. */
export class TolerationDto {
  @ApiPropertyOptional({ type: 'string', maxLength: 320 })
  @ValidateIf(given)
  @MaxLength(320)
  @IsString()
  key?: string;

  @ApiPropertyOptional({ type: 'string', enum: OPERATORS, default: 'Equal' })
  @ValidateIf(given)
  @IsIn(OPERATORS)
  operator?: (typeof OPERATORS)[number];

  @ApiPropertyOptional({ type: 'string', maxLength: 63 })
  @ValidateIf(given)
  @MaxLength(63)
  @IsString()
  value?: string;

  @ApiPropertyOptional({ type: 'string', enum: EFFECTS })
  @ValidateIf(given)
  @IsIn(EFFECTS)
  effect?: (typeof EFFECTS)[number];
}

/** How pods run in the cluster. */
class ClusterOptionsInput {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: 100,
    default: 5,
    description: 'Share of the limit that pods request',
  })
  @ValidateIf(given)
  @Min(1)
  @Max(100)
  @IsInt()
  cpu_request_percent?: number;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: 100,
    default: 25,
    description: 'Share of the limit that pods request',
  })
  @ValidateIf(given)
  @Min(1)
  @Max(100)
  @IsInt()
  memory_request_percent?: number;

  @ApiPropertyOptional({ type: 'string', nullable: true, maxLength: 253, description: 'Of volumes; null: the cluster’s default' })
  @IsOptional()
  @MaxLength(253)
  @IsString()
  storage_class?: string | null;

  @ApiPropertyOptional({ type: 'string', nullable: true, maxLength: 253, description: 'Such as gVisor’s or Kata’s' })
  @IsOptional()
  @MaxLength(253)
  @IsString()
  runtime_class_name?: string | null;

  @ApiPropertyOptional({ type: 'object', additionalProperties: { type: 'string' }, description: 'Labels of the nodes to run on' })
  @ValidateIf(given)
  @Transform(asGiven)
  @IsObject()
  node_selector?: Record<string, string>;

  @ApiPropertyOptional({ type: [TolerationDto], description: 'Taints of nodes to run on all the same' })
  @ValidateIf(given)
  @ValidateNested({ each: true })
  @Type(() => TolerationDto)
  @IsArray()
  tolerations?: TolerationDto[];

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'string', maxLength: 253 },
    description: 'Secrets of the server’s namespace, for images that need a sign-in',
  })
  @ValidateIf(given)
  @IsString({ each: true })
  @IsArray()
  image_pull_secrets?: string[];
}

export class CreateClusterDto extends ClusterOptionsInput {
  @ApiProperty({ type: 'string', minLength: 1, maxLength: 100, description: 'Unique, without regard to case' })
  @Matches(CLUSTER_NAME, { message: `name ${CLUSTER_NAME_MESSAGE}`, context: { code: 'invalid_name' } })
  @IsString()
  name!: string;

  @ApiProperty({ type: 'string', enum: REGIONS })
  @IsIn(REGIONS, { context: { code: 'invalid_region' } })
  region!: Region;

  @ApiProperty({ type: 'string', format: 'byte', writeOnly: true, description: 'The kubeconfig as base64; never shown again' })
  @Transform(withoutBreaks)
  @IsBase64({}, { message: 'kube_config must be base64', context: { code: 'invalid_kube_config' } })
  @IsString()
  kube_config!: string;

  @ApiPropertyOptional({ type: 'string', nullable: true, maxLength: 500, description: 'In place of the kubeconfig’s server' })
  @IsOptional()
  @MaxLength(500)
  @IsString()
  endpoint?: string | null;

  @ApiPropertyOptional({ type: 'string', nullable: true, maxLength: 500 })
  @IsOptional()
  @MaxLength(500)
  @IsString()
  description?: string | null;

  @ApiPropertyOptional({ type: 'boolean', default: false, description: 'New environments of the region go there first' })
  @ValidateIf(given)
  @IsBoolean()
  is_default?: boolean;

  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: MOST_ENVIRONMENTS, default: 1000 })
  @ValidateIf(given)
  @Min(1)
  @Max(MOST_ENVIRONMENTS)
  @IsInt()
  max_environments?: number;
}

/** What is left out stays. */
export class ChangeClusterDto extends PartialType(CreateClusterDto, { skipNullProperties: false }) {
  @ApiPropertyOptional({ type: 'string', enum: CLUSTER_STATUSES, description: 'Only `active` ones take new environments' })
  @ValidateIf(given)
  @IsIn(CLUSTER_STATUSES, { context: { code: 'invalid_status' } })
  status?: ClusterStatus;
}

export class ClusterQuery extends PageQuery {
  @ApiPropertyOptional({ type: 'string', enum: REGIONS })
  @IsOptional()
  @IsIn(REGIONS, { context: { code: 'invalid_region' } })
  region?: Region;
}

export class RegionDto {
  @ApiProperty({ type: 'string', enum: REGIONS })
  region!: Region;
  @ApiProperty({ type: 'string' })
  display_name!: string;
  @ApiProperty({ type: 'integer', description: 'Clusters that take new environments' })
  cluster_count!: number;
  @ApiProperty({ type: 'boolean' })
  available!: boolean;
  @ApiProperty({ type: 'boolean' })
  has_default!: boolean;
}

export class RegionsDto {
  @ApiProperty({ type: [RegionDto] })
  regions!: RegionDto[];
}

/** Contract §5. */
export class ClusterDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  id!: string;
  @ApiProperty({ type: 'string' })
  name!: string;
  @ApiProperty({ type: 'string', enum: REGIONS })
  region!: Region;
  @ApiProperty({ type: 'string', nullable: true })
  description!: string | null;
  @ApiProperty({ type: 'string', description: 'Address of the API server' })
  endpoint!: string;
  @ApiProperty({ type: 'boolean' })
  is_default!: boolean;
  @ApiProperty({ type: 'integer' })
  max_environments!: number;
  @ApiProperty({ type: 'string', enum: CLUSTER_STATUSES })
  status!: ClusterStatus;
  @ApiProperty({ type: 'integer' })
  environments_count!: number;
  @ApiProperty({ type: 'integer' })
  cpu_request_percent!: number;
  @ApiProperty({ type: 'integer' })
  memory_request_percent!: number;
  @ApiProperty({ type: 'string', nullable: true })
  storage_class!: string | null;
  @ApiProperty({ type: 'string', nullable: true })
  runtime_class_name!: string | null;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  node_selector!: Record<string, string>;
  @ApiProperty({ type: [TolerationDto] })
  tolerations!: TolerationDto[];
  @ApiProperty({ type: [String] })
  image_pull_secrets!: string[];
  @ApiProperty({ type: 'string', format: 'date-time' })
  created_at!: string;
  @ApiProperty({ type: 'string', format: 'date-time' })
  updated_at!: string;
}

export class AvailableResourcesDto {
  @ApiProperty({ type: 'string', description: 'A Kubernetes quantity, as the next', example: '3500m' })
  cpu!: string;
  @ApiProperty({ type: 'string', example: '7168Mi' })
  memory!: string;
}

export const HEALTH_STATUSES = ['healthy', 'unhealthy'] as const;

/** As measured for this answer; what could not be measured is null. */
export class ClusterHealthDto {
  @ApiProperty({ type: 'string' })
  cluster_id!: string;
  @ApiProperty({ type: 'string', enum: HEALTH_STATUSES })
  status!: (typeof HEALTH_STATUSES)[number];
  @ApiProperty({ type: 'string', format: 'date-time' })
  last_check!: string;
  @ApiProperty({ type: 'number', nullable: true })
  response_time_ms!: number | null;
  @ApiProperty({ type: 'string', nullable: true })
  error_message!: string | null;
  @ApiProperty({ type: 'integer', nullable: true, description: 'Nodes that are ready and take pods' })
  node_count!: number | null;
  @ApiProperty({ type: AvailableResourcesDto, nullable: true, description: 'Of these nodes, what no pod has requested' })
  available_resources!: AvailableResourcesDto | null;
}
