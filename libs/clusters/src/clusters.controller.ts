import { Admin, NeedsScope } from '@devpocket/access';
import { ApiProblems, Paged } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Body, Controller, Get, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ClusterDto, ClusterQuery, CreateClusterDto, RegionsDto } from './cluster.dto';
import { ClustersService } from './clusters.service';

@ApiTags('clusters')
@ApiProblems({
  401: ['token_missing', 'token_invalid', 'token_expired', 'session_revoked'],
  403: ['forbidden', 'scope_missing'],
  422: ['validation_error'],
  429: ['rate_limited'],
})
@Controller('clusters')
export class ClustersController {
  constructor(private readonly clusters: ClustersService) {}

  @Get()
  @Admin()
  @Paged()
  @ApiOperation({ operationId: 'listClusters', summary: 'The clusters' })
  @ApiOkResponse({ type: [ClusterDto] })
  list(@Query() query: ClusterQuery): Page<ClusterDto> {
    query.toRequest();
    return { items: [], total: 0, next: null };
  }

  @Post()
  @Admin()
  @ApiOperation({ operationId: 'addCluster', summary: 'Adds a cluster; its kubeconfig is never shown again' })
  @ApiCreatedResponse({ type: ClusterDto })
  @ApiProblems({ 400: ['malformed_json'], 503: ['runtime_not_available'] })
  add(@Body() _cluster: CreateClusterDto): ClusterDto {
    return this.clusters.add();
  }

  @Get('regions')
  @NeedsScope('env:read')
  @ApiOperation({ operationId: 'listRegions', summary: 'The regions that have a cluster' })
  @ApiOkResponse({ type: RegionsDto })
  regions(): RegionsDto {
    return { regions: [] };
  }
}
