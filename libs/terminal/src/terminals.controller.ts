import { CurrentPrincipal, NeedsScope, type Principal } from '@devpocket/access';
import { EnvironmentsService } from '@devpocket/environments';
import { ApiProblems, IdPipe, mapPage, Paged, PageQuery } from '@devpocket/http';
import { type Page, pageOf } from '@devpocket/kernel';
import { Controller, Delete, Get, HttpCode, Param, Query } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { ScreenDto, ScreenQuery, TerminalDto, toScreenDto, toTerminalDto } from './terminal.dto';
import { TerminalHomes } from './terminal-homes';

@ApiTags('terminals')
@NeedsScope('terminal')
@Controller('environments/:id/terminals')
export class TerminalsController {
  constructor(
    private readonly environments: EnvironmentsService,
    private readonly terminals: TerminalHomes,
  ) {}

  @Get()
  @Paged()
  @ApiOperation({ operationId: 'listTerminals', summary: 'The shells of an environment, newest first' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: [TerminalDto] })
  async list(
    @CurrentPrincipal() principal: Principal,
    @Param('id', new IdPipe('Environment')) id: string,
    @Query() query: PageQuery,
  ): Promise<Page<TerminalDto>> {
    const request = query.toRequest();
    const sessions = await this.terminals.list(await this.environments.locate(principal, id));
    const cursorOf = ({ createdAt, sessionId }: (typeof sessions)[number]) => ({ time: createdAt.getTime(), id: sessionId });
    return mapPage(pageOf(sessions, request, cursorOf), toTerminalDto);
  }

  @Get(':sessionId/screen')
  @ApiOperation({ operationId: 'getTerminalScreen', summary: 'The screen of a shell as it stands' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiParam({ name: 'sessionId', type: 'string' })
  @ApiOkResponse({ type: ScreenDto })
  @ApiProblems({ 422: ['validation_error'] })
  async screen(
    @CurrentPrincipal() principal: Principal,
    @Param('id', new IdPipe('Environment')) id: string,
    @Param('sessionId', new IdPipe('Session')) sessionId: string,
    @Query() { format }: ScreenQuery,
  ): Promise<ScreenDto> {
    const environment = await this.environments.locate(principal, id);
    return toScreenDto(sessionId, format, await this.terminals.screen(environment, sessionId, format));
  }

  @Delete(':sessionId')
  @HttpCode(204)
  @ApiOperation({ operationId: 'closeTerminal', summary: 'Ends a shell' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiParam({ name: 'sessionId', type: 'string' })
  @ApiNoContentResponse()
  async close(
    @CurrentPrincipal() principal: Principal,
    @Param('id', new IdPipe('Environment')) id: string,
    @Param('sessionId', new IdPipe('Session')) sessionId: string,
  ): Promise<void> {
    await this.terminals.remove(await this.environments.locate(principal, id), sessionId);
  }
}
