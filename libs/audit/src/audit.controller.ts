import { Admin, CurrentPrincipal, type Principal } from '@devpocket/access';
import { mapPage, Paged, PageQuery } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { AuditTrail } from './audit-trail';
import { AuditEntryDto, AuditQuery, toAuditEntryDto } from './audit.dto';

@Controller()
export class AuditController {
  constructor(private readonly trail: AuditTrail) {}

  @Get('admin/audit')
  @ApiTags('admin')
  @Admin()
  @Paged()
  @ApiOperation({ operationId: 'searchAudit', summary: 'Who did what, newest first, for 180 days' })
  @ApiOkResponse({ type: [AuditEntryDto] })
  async search(@Query() query: AuditQuery): Promise<Page<AuditEntryDto>> {
    return mapPage(await this.trail.search(query.toFilter(), query.toRequest()), toAuditEntryDto);
  }

  @Get('users/me/audit')
  @ApiTags('users')
  @Paged()
  @ApiOperation({ operationId: 'listOwnAudit', summary: "What the caller did, and what was done to the caller's account" })
  @ApiOkResponse({ type: [AuditEntryDto] })
  async own(@CurrentPrincipal() { userId }: Principal, @Query() page: PageQuery): Promise<Page<AuditEntryDto>> {
    return mapPage(await this.trail.search({ account: userId }, page.toRequest()), toAuditEntryDto);
  }
}
