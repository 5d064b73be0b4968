import { PageQuery } from '@devpocket/http';
import { ApiProperty, ApiPropertyOptional, IntersectionType, OmitType, PartialType, PickType } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, MaxLength } from 'class-validator';
import { type Template, TEMPLATE_STATUSES, type TemplateStatus } from './template';

export const TEMPLATE_NAME = '^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$';
const QUANTITY = '^\\d+(\\.\\d+)?(m|[kMGTPE]|[KMGTPE]i)?$';
const listOf = (maxItems: number, maxLength: number) => ({
  type: 'array' as const,
  items: { type: 'string' as const, minLength: 1, maxLength },
  maxItems,
  default: [],
});

export class TemplateQuery extends PageQuery {
  @ApiPropertyOptional({ type: 'string', maxLength: 50 })
  @IsOptional()
  @MaxLength(50)
  @IsString()
  category?: string;

  @ApiPropertyOptional({ type: 'string', enum: TEMPLATE_STATUSES })
  @IsOptional()
  @IsIn(TEMPLATE_STATUSES, { context: { code: 'invalid_status' } })
  status?: TemplateStatus;
}

export class ResourcesDto {
  @ApiProperty({ type: 'string', pattern: QUANTITY, description: 'A Kubernetes quantity, as the next two', example: '500m' })
  cpu!: string;

  @ApiProperty({ type: 'string', pattern: QUANTITY, example: '1Gi' })
  memory!: string;

  @ApiProperty({ type: 'string', pattern: QUANTITY, example: '5Gi' })
  storage!: string;
}

/** Contract §3, with all that a definition says: who changes what was read loses nothing. */
export class TemplateDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  id!: string;
  @ApiProperty({ type: 'string' })
  name!: string;
  @ApiProperty({ type: 'string' })
  display_name!: string;
  @ApiProperty({ type: 'string' })
  description!: string;
  @ApiProperty({ type: 'string' })
  category!: string;
  @ApiProperty({ type: [String] })
  tags!: string[];
  @ApiProperty({ type: 'string', nullable: true })
  image!: string | null;
  @ApiProperty({ type: 'integer', nullable: true })
  default_port!: number | null;
  @ApiProperty({ type: ResourcesDto })
  default_resources!: ResourcesDto;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  environment_variables!: Record<string, string>;
  @ApiProperty({ type: [String] })
  startup_commands!: string[];
  @ApiProperty({ type: 'boolean' })
  read_only_root!: boolean;
  @ApiProperty({ type: 'integer' })
  version!: number;
  @ApiProperty({ type: 'string', enum: TEMPLATE_STATUSES })
  status!: TemplateStatus;
  @ApiProperty({ type: 'string', nullable: true })
  icon_url!: string | null;
  @ApiProperty({ type: 'string', nullable: true })
  documentation_url!: string | null;
  @ApiProperty({ type: 'string', format: 'date-time' })
  created_at!: string;
  @ApiProperty({ type: 'string', format: 'date-time' })
  updated_at!: string;
}

/** What a template says. */
export class TemplateDefinitionDto {
  @ApiProperty({ type: 'string', pattern: TEMPLATE_NAME })
  name!: string;
  @ApiProperty({ type: 'string', minLength: 1, maxLength: 100 })
  display_name!: string;
  @ApiPropertyOptional({ type: 'string', maxLength: 1000, default: '' })
  description?: string;
  @ApiProperty({ type: 'string', minLength: 1, maxLength: 50 })
  category!: string;
  @ApiPropertyOptional(listOf(20, 50))
  tags?: string[];
  @ApiProperty({ type: 'string', nullable: true, minLength: 1, maxLength: 500, description: 'null for `custom` alone' })
  image!: string | null;
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 65535, nullable: true, default: null })
  default_port?: number | null;
  @ApiProperty({ type: ResourcesDto })
  default_resources!: ResourcesDto;
  @ApiPropertyOptional({ type: 'object', additionalProperties: { type: 'string' }, default: {} })
  environment_variables?: Record<string, string>;
  @ApiPropertyOptional(listOf(50, 4096))
  startup_commands?: string[];
  @ApiPropertyOptional({ type: 'boolean', default: false, description: 'Nothing but /workspace and /tmp can be written to' })
  read_only_root?: boolean;
  @ApiPropertyOptional({ type: 'string', enum: TEMPLATE_STATUSES, default: 'active' })
  status?: TemplateStatus;
  @ApiPropertyOptional({ type: 'string', format: 'uri', nullable: true, default: null })
  icon_url?: string | null;
  @ApiPropertyOptional({ type: 'string', format: 'uri', nullable: true, default: null })
  documentation_url?: string | null;
}

/** The name is that of the path, and may be left out. */
export class TemplateChangeDto extends IntersectionType(
  OmitType(TemplateDefinitionDto, ['name']),
  PartialType(PickType(TemplateDefinitionDto, ['name'])),
) {}

export function toTemplateDto(template: Template): TemplateDto {
  return {
    id: template.id,
    name: template.name,
    display_name: template.displayName,
    description: template.description,
    category: template.category,
    tags: [...template.tags],
    image: template.image,
    default_port: template.defaultPort,
    default_resources: { ...template.defaultResources },
    environment_variables: { ...template.environmentVariables },
    startup_commands: [...template.startupCommands],
    read_only_root: template.readOnlyRoot,
    version: template.version,
    status: template.status,
    icon_url: template.iconUrl,
    documentation_url: template.documentationUrl,
    created_at: template.createdAt.toISOString(),
    updated_at: template.updatedAt.toISOString(),
  };
}
