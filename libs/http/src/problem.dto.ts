import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiProperty, ApiPropertyOptional, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { STATUS_CODES } from 'node:http';

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

/** Documents an operation's errors: `@ApiProblems({ 400: ['name_taken'], 404: ['not_found'] })`. */
export function ApiProblems(codes: Readonly<Record<number, readonly string[]>>): MethodDecorator & ClassDecorator {
  const answers = Object.entries(codes).map(([status, names]) =>
    ApiResponse({
      status: Number(status),
      description: `${STATUS_CODES[status] ?? ''}: ${names.join(', ')}`,
      content: {
        'application/problem+json': {
          schema: {
            allOf: [
              { $ref: getSchemaPath(ProblemDto) },
              { type: 'object', properties: { code: { type: 'string', enum: [...names] } } },
            ],
          },
        },
      },
    }),
  );
  return applyDecorators(ApiExtraModels(ProblemDto), ...answers);
}
