import { CurrentPrincipal, NeedsScope, type Principal } from '@devpocket/access';
import { ApiProblems, Etag, IdempotencyScope, IdPipe, mapPage, Paged } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Put, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import {
  ChangedEnvironmentDto,
  ChangeEnvironmentDto,
  CreateEnvironmentDto,
  EnvironmentDto,
  EnvironmentQuery,
  KeepAliveDto,
  MessageDto,
  StartedEnvironmentDto,
} from './environment.dto';
import { EnvironmentViews } from './environment-views';
import { type Change, EnvironmentsService } from './environments.service';
import { LifecycleService } from './lifecycle.service';

const ID = new IdPipe('Environment');

@ApiTags('environments')
@Controller('environments')
export class EnvironmentsController {
  constructor(
    private readonly environments: EnvironmentsService,
    private readonly lifecycle: LifecycleService,
    private readonly views: EnvironmentViews,
  ) {}

  @Post()
  @NeedsScope('env:write')
  @ApiOperation({ operationId: 'createEnvironment', summary: 'A new environment; it starts at once' })
  @ApiCreatedResponse({ type: EnvironmentDto })
  @ApiProblems({
    400: ['name_taken'],
    403: ['environment_limit_reached', 'plan_limit_exceeded', 'email_not_verified'],
    503: ['no_cluster_available'],
  })
  async create(
    @CurrentPrincipal() principal: Principal,
    @Body() dto: CreateEnvironmentDto,
    @IdempotencyScope() scope: string | null,
  ): Promise<EnvironmentDto> {
    const {
      name,
      template,
      description = null,
      image = null,
      resources = {},
      environment_variables = {},
      region = null,
      auto_stop_minutes = null,
    } = dto;
    const creation = {
      name,
      template,
      description,
      image,
      resources: { ...resources },
      environmentVariables: environment_variables,
      region,
      autoStopMinutes: auto_stop_minutes,
    };
    return this.views.one(await this.environments.create(principal, creation, scope));
  }

  @Get()
  @NeedsScope('env:read')
  @Paged()
  @Etag()
  @ApiOperation({ operationId: 'listEnvironments', summary: 'The caller’s environments, newest first' })
  @ApiOkResponse({ type: [EnvironmentDto] })
  async list(@CurrentPrincipal() principal: Principal, @Query() query: EnvironmentQuery): Promise<Page<EnvironmentDto>> {
    const { status, template } = query;
    const filter = { ...(status === undefined ? {} : { status }), ...(template === undefined ? {} : { template }) };
    return mapPage(await this.environments.list(principal, filter, query.toRequest()), await this.views.each());
  }

  @Get(':id')
  @NeedsScope('env:read')
  @Etag()
  @ApiOperation({ operationId: 'getEnvironment', summary: 'One environment' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: EnvironmentDto })
  async get(@CurrentPrincipal() principal: Principal, @Param('id', ID) id: string): Promise<EnvironmentDto> {
    return this.views.one(await this.environments.get(principal, id));
  }

  @Patch(':id')
  @NeedsScope('env:write')
  @ApiOperation({ operationId: 'changeEnvironment', summary: 'Changes what is named, and tells what needs a restart' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: ChangedEnvironmentDto })
  @ApiProblems({ 400: ['name_taken'], 403: ['plan_limit_exceeded'] })
  async change(
    @CurrentPrincipal() principal: Principal,
    @Param('id', ID) id: string,
    @Body() dto: ChangeEnvironmentDto,
  ): Promise<ChangedEnvironmentDto> {
    const { environment, restartRequired } = await this.environments.change(principal, id, toChange(dto));
    return { ...(await this.views.one(environment)), restart_required: [...restartRequired] };
  }

  @Put(':id')
  @NeedsScope('env:write')
  @ApiOperation({ operationId: 'putEnvironment', summary: 'The same as PATCH' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: ChangedEnvironmentDto })
  @ApiProblems({ 400: ['name_taken'], 403: ['plan_limit_exceeded'] })
  put(
    @CurrentPrincipal() principal: Principal,
    @Param('id', ID) id: string,
    @Body() dto: ChangeEnvironmentDto,
  ): Promise<ChangedEnvironmentDto> {
    return this.change(principal, id, dto);
  }

  @Delete(':id')
  @HttpCode(200)
  @NeedsScope('env:write')
  @ApiOperation({ operationId: 'deleteEnvironment', summary: 'Deletes it with its data; from this answer on it is gone' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: MessageDto })
  async remove(@CurrentPrincipal() principal: Principal, @Param('id', ID) id: string): Promise<MessageDto> {
    await this.lifecycle.want(principal, id, 'delete');
    return { message: 'Environment deletion started' };
  }

  @Post(':id/start')
  @HttpCode(200)
  @NeedsScope('env:write')
  @ApiOperation({ operationId: 'startEnvironment', summary: 'Starts it; nothing to do when it runs or starts' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: StartedEnvironmentDto })
  @ApiProblems({ 403: ['environment_limit_reached', 'plan_limit_exceeded'] })
  async start(@CurrentPrincipal() principal: Principal, @Param('id', ID) id: string): Promise<StartedEnvironmentDto> {
    return {
      message: 'Environment start requested',
      environment: await this.views.one(await this.lifecycle.want(principal, id, 'start')),
    };
  }

  @Post(':id/stop')
  @HttpCode(200)
  @NeedsScope('env:write')
  @ApiOperation({ operationId: 'stopEnvironment', summary: 'Stops it; its data stays' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: StartedEnvironmentDto })
  @ApiProblems({ 400: ['invalid_state'] })
  async stop(@CurrentPrincipal() principal: Principal, @Param('id', ID) id: string): Promise<StartedEnvironmentDto> {
    return {
      message: 'Environment stop requested',
      environment: await this.views.one(await this.lifecycle.want(principal, id, 'stop')),
    };
  }

  @Post(':id/restart')
  @HttpCode(200)
  @NeedsScope('env:write')
  @ApiOperation({ operationId: 'restartEnvironment', summary: 'Stops and starts it as a new incarnation' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: StartedEnvironmentDto })
  @ApiProblems({ 400: ['invalid_state'], 403: ['environment_limit_reached', 'plan_limit_exceeded'] })
  async restart(@CurrentPrincipal() principal: Principal, @Param('id', ID) id: string): Promise<StartedEnvironmentDto> {
    return {
      message: 'Environment restart requested',
      environment: await this.views.one(await this.lifecycle.want(principal, id, 'restart')),
    };
  }

  @Post(':id/keepalive')
  @HttpCode(200)
  @NeedsScope('env:write')
  @ApiOperation({ operationId: 'keepEnvironmentAlive', summary: 'Moves `stop_at`, never past the longest run' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: EnvironmentDto })
  @ApiProblems({ 400: ['invalid_state'] })
  async keepAlive(
    @CurrentPrincipal() principal: Principal,
    @Param('id', ID) id: string,
    @Body() dto: KeepAliveDto,
  ): Promise<EnvironmentDto> {
    return this.views.one(await this.environments.keepAlive(principal, id, dto.minutes));
  }
}

function toChange(dto: ChangeEnvironmentDto): Change {
  return {
    ...(dto.name === undefined ? {} : { name: dto.name }),
    ...(dto.description === undefined ? {} : { description: dto.description }),
    ...(dto.resources === undefined ? {} : { resources: { ...dto.resources } }),
    ...(dto.environment_variables === undefined ? {} : { environmentVariables: dto.environment_variables }),
    ...(dto.auto_stop_minutes === undefined ? {} : { autoStopMinutes: dto.auto_stop_minutes }),
    ...(dto.template_version === undefined ? {} : { latestTemplate: true }),
  };
}
