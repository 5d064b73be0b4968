import { type TerminalExitReason } from '@devpocket/runtime';
import { type SessionView } from '@devpocket/terminal-session';
import { type ScreenAt, type ScreenFormat } from '@devpocket/terminal-session';
import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';

export class TerminalExitDto {
  @ApiProperty({ type: 'integer', nullable: true })
  code!: number | null;
  @ApiProperty({ type: 'string', nullable: true })
  signal!: string | null;
  @ApiProperty({ type: 'string', enum: ['exited', 'killed', 'environment_stopped', 'out_of_memory'] })
  reason!: TerminalExitReason;
}

export class TerminalDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  session_id!: string;
  @ApiProperty({ type: 'string', format: 'date-time' })
  created_at!: string;
  @ApiProperty({ type: 'integer', description: 'Sockets that are attached' })
  attached!: number;
  @ApiProperty({ type: 'integer' })
  cols!: number;
  @ApiProperty({ type: 'integer' })
  rows!: number;
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  last_output_at!: string | null;
  @ApiProperty({ type: TerminalExitDto, nullable: true })
  exit!: TerminalExitDto | null;
}

export function toTerminalDto({ sessionId, createdAt, attached, cols, rows, lastOutputAt, exit }: SessionView): TerminalDto {
  return {
    session_id: sessionId,
    created_at: createdAt.toISOString(),
    attached,
    cols,
    rows,
    last_output_at: lastOutputAt?.toISOString() ?? null,
    exit: exit && { code: exit.code, signal: exit.signal, reason: exit.reason },
  };
}

const FORMATS = ['text', 'ansi'] as const;

export class ScreenQuery {
  @ApiProperty({ enum: FORMATS, required: false, default: 'text' })
  @IsOptional()
  @IsIn(FORMATS, { context: { code: 'invalid_format' } })
  format: ScreenFormat = 'text';
}

export class ScreenDto {
  @ApiProperty({ type: 'string', pattern: '^[0-9a-f]{24}$' })
  session_id!: string;
  @ApiProperty({ type: 'integer', description: 'Position in the output behind which the screen stands so' })
  seq!: number;
  @ApiProperty({ type: 'integer' })
  cols!: number;
  @ApiProperty({ type: 'integer' })
  rows!: number;
  @ApiProperty({ enum: FORMATS })
  format!: ScreenFormat;
  @ApiProperty({
    type: 'string',
    description: 'text: the rows, separated by line feeds; ansi: escape sequences that paint the screen, modes included',
  })
  data!: string;
}

export function toScreenDto(sessionId: string, format: ScreenFormat, { seq, cols, rows, data }: ScreenAt): ScreenDto {
  return { session_id: sessionId, seq, cols, rows, format, data };
}
