import { Admin, CurrentPrincipal, type Principal } from '@devpocket/access';
import { ApiProblems, IdPipe, mapPage, Paged, PageQuery, RequestOrigins } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Controller, Delete, Get, HttpCode, Param, Query, Req } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { type Request } from 'express';
import { OrphanDto, toOrphanDto } from './orphan.dto';
import { OrphansService } from './orphans.service';

@ApiTags('admin')
@Admin()
@Controller('admin/orphans')
export class OrphansController {
  constructor(
    private readonly orphans: OrphansService,
    private readonly origins: RequestOrigins,
  ) {}

  @Get()
  @Paged()
  @ApiOperation({
    operationId: 'listOrphans',
    summary: 'What runtimes hold without a record, and records of which they hold nothing',
  })
  @ApiOkResponse({ type: [OrphanDto] })
  async list(@Query() page: PageQuery): Promise<Page<OrphanDto>> {
    return mapPage(await this.orphans.list(page.toRequest()), toOrphanDto);
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'removeOrphan', summary: 'Removes what a runtime holds of it, its data too, now' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiNoContentResponse()
  @ApiProblems({ 400: ['invalid_state'] })
  remove(
    @CurrentPrincipal() administrator: Principal,
    @Req() request: Request,
    @Param('id', new IdPipe('Orphan')) id: string,
  ): Promise<void> {
    return this.orphans.remove(administrator, id, this.origins.of(request));
  }
}
