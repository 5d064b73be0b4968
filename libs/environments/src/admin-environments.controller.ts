import { Admin } from '@devpocket/access';
import { mapPage, Paged } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { AdminEnvironmentDto, AdminEnvironmentQuery } from './environment.dto';
import { toAdminEnvironmentDto } from './environment.view';
import { EnvironmentViews } from './environment-views';
import { EnvironmentsService } from './environments.service';

@ApiTags('admin')
@Admin()
@Controller('admin/environments')
export class AdminEnvironmentsController {
  constructor(
    private readonly environments: EnvironmentsService,
    private readonly views: EnvironmentViews,
  ) {}

  @Get()
  @Paged()
  @ApiOperation({ operationId: 'listAllEnvironments', summary: 'Everybody’s environments, newest first, deletes that hang too' })
  @ApiOkResponse({ type: [AdminEnvironmentDto] })
  async list(@Query() query: AdminEnvironmentQuery): Promise<Page<AdminEnvironmentDto>> {
    const { status, user } = query;
    const filter = { ...(status === undefined ? {} : { status }), ...(user === undefined ? {} : { user }) };
    const view = await this.views.each();
    return mapPage(await this.environments.listAll(filter, query.toRequest()), (one) => toAdminEnvironmentDto(view(one)));
  }
}
