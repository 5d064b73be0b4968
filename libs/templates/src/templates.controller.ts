import { Admin, NeedsScope } from '@devpocket/access';
import { ApiProblems, Etag, mapPage, Paged } from '@devpocket/http';
import { DomainError, type Page } from '@devpocket/kernel';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { TemplateDefinitionDto, TemplateDto, TemplateQuery, toTemplateDto } from './template.dto';
import { parseTemplate } from './template-file';
import { TemplatesService } from './templates.service';

const BODY_FAULTS = {
  400: ['malformed_json'],
  413: ['body_too_large'],
  415: ['unsupported_media_type'],
  422: ['validation_error'],
};

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

  @Post()
  @Admin()
  @ApiOperation({ operationId: 'createTemplate', summary: 'A new template' })
  @ApiBody({ type: TemplateDefinitionDto })
  @ApiCreatedResponse({ type: TemplateDto })
  @ApiProblems({
    ...BODY_FAULTS,
    400: ['malformed_json', 'name_taken'],
    403: ['forbidden', 'scope_missing'],
    409: ['idempotency_in_progress'],
    422: ['validation_error', 'idempotency_mismatch'],
  })
  async create(@Body() body: object): Promise<TemplateDto> {
    return toTemplateDto(await this.templates.create(parseTemplate(body)));
  }

  @Put(':name')
  @Admin()
  @ApiOperation({ operationId: 'changeTemplate', summary: 'A new version; environments keep the one that they were made from' })
  @ApiParam({ name: 'name', type: 'string' })
  @ApiBody({ type: TemplateDefinitionDto })
  @ApiOkResponse({ type: TemplateDto })
  @ApiProblems({ ...BODY_FAULTS, 403: ['forbidden', 'scope_missing'], 404: ['not_found'] })
  async change(@Param('name') name: string, @Body() body: object): Promise<TemplateDto> {
    const definition = parseTemplate({ name, ...body });
    if (definition.name !== name)
      throw DomainError.invalid({ field: 'name', code: 'name_fixed', message: `is that of the path, ${name}` });
    return toTemplateDto(await this.templates.change(definition));
  }

  @Delete(':name')
  @Admin()
  @HttpCode(204)
  @ApiOperation({ operationId: 'deprecateTemplate', summary: 'Offers it no more; environments made from it go on' })
  @ApiParam({ name: 'name', type: 'string' })
  @ApiNoContentResponse()
  @ApiProblems({ 403: ['forbidden', 'scope_missing'], 404: ['not_found'] })
  deprecate(@Param('name') name: string): Promise<void> {
    return this.templates.deprecate(name);
  }
}
