import { type RuntimeKind } from '@devpocket/runtime';
import { ApiProperty } from '@nestjs/swagger';
import { ORPHAN_KINDS, type OrphanKind } from './orphan';
import { type OrphanView } from './orphans.service';

export class OrphanDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$', description: 'The environment’s' })
  id!: string;
  @ApiProperty({
    type: 'string',
    enum: ORPHAN_KINDS,
    description: '`object`: a runtime holds it and there is no record; `record`: there is a record and no runtime holds anything',
  })
  kind!: OrphanKind;
  @ApiProperty({ type: 'string' })
  environment_id!: string;
  @ApiProperty({ type: 'string', nullable: true })
  user_id!: string | null;
  @ApiProperty({ type: 'string', enum: ['local', 'docker', 'kubernetes'] })
  runtime!: RuntimeKind;
  @ApiProperty({ type: 'string', nullable: true })
  cluster_id!: string | null;
  @ApiProperty({ type: 'string', format: 'date-time', description: 'When it was noticed' })
  since!: string;
  @ApiProperty({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'When its data is removed; null: not by itself',
  })
  remove_after!: string | null;
}

export function toOrphanDto({ id, kind, userId, runtimeKind, clusterId, since, removeAfter }: OrphanView): OrphanDto {
  return {
    id,
    kind,
    environment_id: id,
    user_id: userId || null,
    runtime: runtimeKind,
    cluster_id: clusterId,
    since: since.toISOString(),
    remove_after: removeAfter?.toISOString() ?? null,
  };
}
