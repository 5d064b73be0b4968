import { PageQuery } from '@devpocket/http';
import { REGIONS, type Region } from '@devpocket/kernel';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBase64, IsBoolean, IsIn, IsInt, IsOptional, IsString, Length, Max, MaxLength, Min } from 'class-validator';

export class CreateClusterDto {
  @ApiProperty({ type: 'string', minLength: 1, maxLength: 100 })
  @Length(1, 100)
  @IsString()
  name!: string;

  @ApiProperty({ type: 'string', enum: REGIONS })
  @IsIn(REGIONS, { context: { code: 'invalid_region' } })
  region!: Region;

  @ApiProperty({ type: 'string', format: 'byte', writeOnly: true, description: 'The kubeconfig as base64' })
  @IsBase64({}, { context: { code: 'invalid_kube_config' } })
  @IsString()
  kube_config!: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 500 })
  @IsOptional()
  @MaxLength(500)
  @IsString()
  endpoint?: string;

  @ApiPropertyOptional({ type: 'string', maxLength: 500 })
  @IsOptional()
  @MaxLength(500)
  @IsString()
  description?: string;

  @ApiPropertyOptional({ type: 'boolean' })
  @IsOptional()
  @IsBoolean()
  is_default?: boolean;

  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 100000 })
  @IsOptional()
  @Min(1)
  @Max(100_000)
  @IsInt()
  max_environments?: number;
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
  @ApiProperty({ type: 'integer' })
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
}
