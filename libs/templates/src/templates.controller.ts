import { NeedsScope } from '@devpocket/access';
import { ApiProblems, Etag, mapPage, Paged } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { TemplateDto, TemplateQuery, toTemplateDto } from './template.dto';
import { TemplatesService } from './templates.service';

@ApiTags('templates')
@ApiProblems({
  401: ['token_missing', 'token_invalid', 'token_expired', 'session_revoked'],
  403: ['scope_missing'],
  429: ['rate_limited'],
})
@NeedsScope('env:read')
@Etag()
@Controller('templates')
export class TemplatesController {
  constructor(private readonly templates: TemplatesService) {}

  @Get()
  @Paged()
  @ApiOperation({ operationId: 'listTemplates', summary: 'What environments can be made from' })
  @ApiOkResponse({ type: [TemplateDto] })
  @ApiProblems({ 422: ['validation_error'] })
  async list(@Query() query: TemplateQuery): Promise<Page<TemplateDto>> {
    const { category, status } = query;
    const filter = { ...(category === undefined ? {} : { category }), ...(status === undefined ? {} : { status }) };
    return mapPage(await this.templates.list(filter, query.toRequest()), toTemplateDto);
  }

  @Get(':name')
  @ApiOperation({ operationId: 'getTemplate', summary: 'One template' })
  @ApiParam({ name: 'name', type: 'string' })
  @ApiOkResponse({ type: TemplateDto })
  @ApiProblems({ 404: ['not_found'] })
  async get(@Param('name') name: string): Promise<TemplateDto> {
    return toTemplateDto(await this.templates.get(name));
  }
}
