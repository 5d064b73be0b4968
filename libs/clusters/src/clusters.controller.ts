import { Admin, CurrentPrincipal, NeedsScope, type Principal } from '@devpocket/access';
import { ApiProblems, IdempotencyScope, IdPipe, mapPage, Paged, RequestOrigins } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Req } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { type Request } from 'express';
import { ClusterHealthService } from './cluster-health.service';
import { ChangeClusterDto, ClusterDto, ClusterHealthDto, ClusterQuery, CreateClusterDto, RegionsDto } from './cluster.dto';
import { toAddition, toChange, toClusterDto, toHealthDto, toRegionDto } from './cluster.view';
import { type ClusterActor, ClustersService } from './clusters.service';

const ID = new IdPipe('Cluster');

@ApiTags('clusters')
@Controller('clusters')
export class ClustersController {
  constructor(
    private readonly clusters: ClustersService,
    private readonly measurements: ClusterHealthService,
    private readonly origins: RequestOrigins,
  ) {}

  @Get()
  @Admin()
  @Paged()
  @ApiOperation({ operationId: 'listClusters', summary: 'The clusters, newest first' })
  @ApiOkResponse({ type: [ClusterDto] })
  async list(@Query() query: ClusterQuery): Promise<Page<ClusterDto>> {
    return mapPage(await this.clusters.list(query.region ?? null, query.toRequest()), toClusterDto);
  }

  @Post()
  @Admin()
  @ApiOperation({ operationId: 'addCluster', summary: 'Adds a cluster; its kubeconfig is never shown again' })
  @ApiCreatedResponse({ type: ClusterDto })
  @ApiProblems({ 400: ['name_taken'], 503: ['runtime_not_available'] })
  async add(
    @CurrentPrincipal() administrator: Principal,
    @Req() request: Request,
    @Body() dto: CreateClusterDto,
    @IdempotencyScope() scope: string | null,
  ): Promise<ClusterDto> {
    return toClusterDto(await this.clusters.add(this.actor(administrator, request), toAddition(dto), scope));
  }

  @Get('regions')
  @NeedsScope('env:read')
  @ApiOperation({ operationId: 'listRegions', summary: 'The regions that take new environments' })
  @ApiOkResponse({ type: RegionsDto })
  async regions(): Promise<RegionsDto> {
    return { regions: (await this.clusters.regions()).map(toRegionDto) };
  }

  @Get(':id')
  @Admin()
  @ApiOperation({ operationId: 'getCluster', summary: 'One cluster' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: ClusterDto })
  async get(@Param('id', ID) id: string): Promise<ClusterDto> {
    return toClusterDto(await this.clusters.get(id));
  }

  @Put(':id')
  @Admin()
  @ApiOperation({ operationId: 'changeCluster', summary: 'Changes what is named' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: ClusterDto })
  @ApiProblems({ 400: ['name_taken'], 503: ['runtime_not_available'] })
  async change(
    @CurrentPrincipal() administrator: Principal,
    @Req() request: Request,
    @Param('id', ID) id: string,
    @Body() dto: ChangeClusterDto,
  ): Promise<ClusterDto> {
    return toClusterDto(await this.clusters.change(this.actor(administrator, request), id, toChange(dto)));
  }

  @Delete(':id')
  @HttpCode(204)
  @Admin()
  @ApiOperation({ operationId: 'removeCluster', summary: 'Removes a cluster that has no environments' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiNoContentResponse()
  @ApiProblems({ 400: ['cluster_in_use'] })
  remove(@CurrentPrincipal() administrator: Principal, @Req() request: Request, @Param('id', ID) id: string): Promise<void> {
    return this.clusters.remove(this.actor(administrator, request), id);
  }

  @Get(':id/health')
  @Admin()
  @ApiOperation({ operationId: 'getClusterHealth', summary: 'How the cluster is, asked now' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: ClusterHealthDto })
  @ApiProblems({ 503: ['runtime_not_available'] })
  async health(@Param('id', ID) id: string): Promise<ClusterHealthDto> {
    return toHealthDto(await this.measurements.measure(id));
  }

  private actor({ userId }: Principal, request: Request): ClusterActor {
    const { ip, requestId } = this.origins.of(request);
    return { userId, ip, requestId };
  }
}
