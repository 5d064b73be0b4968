import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString } from 'class-validator';

export class EventsQuery {
  @ApiPropertyOptional({
    type: 'string',
    description: 'The id of the last event that was read; `Last-Event-ID` counts before it',
  })
  @IsOptional()
  @IsString()
  after?: string;

  @ApiPropertyOptional({ type: 'string', description: 'Instead of `Authorization`: of `POST /tickets` with purpose `events`' })
  @IsOptional()
  @IsString()
  ticket?: string;
}
