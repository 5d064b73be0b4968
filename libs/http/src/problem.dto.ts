import { SetMetadata } from '@nestjs/common';
import { type Reflector } from '@nestjs/core';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';

export class FieldErrorDto {
  @ApiProperty({ type: 'string', description: 'Dotted path of the field' })
  field!: string;

  @ApiProperty({ type: 'string', description: 'Stable, for programs' })
  code!: string;

  @ApiProperty({ type: 'string', description: 'For people' })
  message!: string;
}

/** RFC 9457; further members belong to single codes and are named where those are. */
export class ProblemDto {
  @ApiProperty({ type: 'string', enum: ['about:blank'] })
  type!: 'about:blank';

  @ApiProperty({ type: 'string' })
  title!: string;

  @ApiProperty({ type: 'integer' })
  status!: number;

  @ApiProperty({ type: 'string', description: 'A sentence for people' })
  detail!: string;

  @ApiProperty({ type: 'string', description: 'Stable, for programs' })
  code!: string;

  @ApiProperty({ type: 'string' })
  request_id!: string;

  @ApiPropertyOptional({ type: [FieldErrorDto], description: 'Only for validation' })
  errors?: FieldErrorDto[];

  @ApiPropertyOptional({ type: 'integer', description: 'Seconds, as in the Retry-After header' })
  retry_after?: number;
}

/** Codes by status, e.g. `{ 400: ['name_taken'] }`. */
export type Problems = Readonly<Record<number, readonly string[]>>;

const KEY = 'http:problems';

/**
 * What a route answers of its own: `@ApiProblems({ 400: ['name_taken'] })`. What its guards, pipes and interceptors answer is
 * known already (`problemsOf`).
 */
export const ApiProblems = (problems: Problems): MethodDecorator & ClassDecorator => SetMetadata(KEY, problems);

/** The controller's and the handler's together. */
export function problemsGivenTo(reflector: Reflector, ...targets: Parameters<Reflector['get']>[1][]): Problems {
  const all: Record<number, readonly string[]> = {};
  for (const given of reflector.getAll<(Problems | undefined)[]>(KEY, targets)) {
    for (const [status, codes] of Object.entries(given ?? {})) all[Number(status)] = [...(all[Number(status)] ?? []), ...codes];
  }
  return all;
}
