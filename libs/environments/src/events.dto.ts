import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, MaxLength } from 'class-validator';

/** More than any that is given out has. */
export const MOST_CURSOR_CHARACTERS = 256;

export class EventsQuery {
  @ApiPropertyOptional({
    type: 'string',
    maxLength: MOST_CURSOR_CHARACTERS,
    description: 'The id of the last event that was read; `Last-Event-ID` counts before it',
  })
  @IsOptional()
  @MaxLength(MOST_CURSOR_CHARACTERS)
  @IsString()
  after?: string;

  @ApiPropertyOptional({
    type: 'string',
    maxLength: MOST_CURSOR_CHARACTERS,
    description: 'Instead of `Authorization`: of `POST /tickets` with purpose `events`',
  })
  @IsOptional()
  @MaxLength(MOST_CURSOR_CHARACTERS)
  @IsString()
  ticket?: string;
}
