import { AnyCredential, CurrentPrincipal, NeedsScope, type Principal } from '@devpocket/access';
import { ApiProblems, IdPipe, mapPage, Paged, PageQuery } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { HistoryDto, LogsDto, LogsQuery, MetricsDto, MetricsQuery, TicketDto, TicketRequestDto } from './environment.dto';
import { toHistoryDto, toLogDto, toMetricDto } from './environment.view';
import { InsightService } from './insight.service';
import { TicketsService } from './tickets.service';

const ID = new IdPipe('Environment');

@ApiTags('environments')
@Controller()
export class InsightController {
  constructor(
    private readonly insight: InsightService,
    private readonly tickets: TicketsService,
  ) {}

  @Get('environments/:id/metrics')
  @NeedsScope('env:read')
  @ApiOperation({ operationId: 'getEnvironmentMetrics', summary: 'What it used, a sample a minute' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: MetricsDto })
  async metrics(
    @CurrentPrincipal() principal: Principal,
    @Param('id', ID) id: string,
    @Query() query: MetricsQuery,
  ): Promise<MetricsDto> {
    const { environment, samples } = await this.insight.metrics(principal, id, query.hours ?? 24);
    const { cpu, memory, storage } = environment.usage;
    return {
      environment_id: id,
      cpu_usage: cpu,
      memory_usage: memory,
      storage_usage: storage,
      metrics: samples.map(toMetricDto),
    };
  }

  @Get('environments/:id/logs')
  @NeedsScope('env:read')
  @ApiOperation({ operationId: 'getEnvironmentLogs', summary: 'The last lines, or with `after` the first behind it' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: LogsDto })
  async logs(@CurrentPrincipal() principal: Principal, @Param('id', ID) id: string, @Query() query: LogsQuery): Promise<LogsDto> {
    const { lines = 100, since, after = null } = query;
    const entries = await this.insight.logs(principal, id, { lines, since: since === undefined ? null : new Date(since), after });
    return { environment_id: id, logs: entries.map(toLogDto) };
  }

  @Get('environments/:id/events')
  @NeedsScope('env:read')
  @Paged()
  @ApiOperation({ operationId: 'getEnvironmentHistory', summary: 'What happened to it, newest first' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: [HistoryDto] })
  async events(
    @CurrentPrincipal() principal: Principal,
    @Param('id', ID) id: string,
    @Query() page: PageQuery,
  ): Promise<Page<HistoryDto>> {
    return mapPage(await this.insight.events(principal, id, page.toRequest()), toHistoryDto);
  }

  @Post('environments/:id/terminal-ticket')
  @NeedsScope('terminal')
  @ApiOperation({ operationId: 'createTerminalTicket', summary: 'The same as POST /tickets for a terminal' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiCreatedResponse({ type: TicketDto })
  async terminalTicket(@CurrentPrincipal() principal: Principal, @Param('id', ID) id: string): Promise<TicketDto> {
    const { ticket, expiresIn } = await this.tickets.issue(principal, 'terminal', id);
    return { ticket, expires_in: expiresIn };
  }

  @Post('tickets')
  @AnyCredential()
  @ApiOperation({ operationId: 'createTicket', summary: 'A single-use credential for one socket' })
  @ApiCreatedResponse({ type: TicketDto })
  @ApiProblems({ 403: ['scope_missing'], 404: ['not_found'] })
  async ticket(@CurrentPrincipal() principal: Principal, @Body() dto: TicketRequestDto): Promise<TicketDto> {
    const { ticket, expiresIn } = await this.tickets.issue(principal, dto.purpose, dto.environment_id ?? null);
    return { ticket, expires_in: expiresIn };
  }
}
