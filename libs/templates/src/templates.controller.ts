import { Admin, CurrentPrincipal, NeedsScope, type Principal } from '@devpocket/access';
import { ApiProblems, Etag, mapPage, Paged, RequestOrigins } from '@devpocket/http';
import { DomainError, type Page } from '@devpocket/kernel';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Req } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { type Request } from 'express';
import {
  TEMPLATE_NAME,
  TemplateChangeDto,
  TemplateDefinitionDto,
  TemplateDto,
  TemplateQuery,
  toTemplateDto,
} from './template.dto';
import { parseTemplate } from './template-file';
import { type TemplateActor, TemplatesService } from './templates.service';

@ApiTags('templates')
@NeedsScope('env:read')
@Etag()
@Controller('templates')
export class TemplatesController {
  constructor(
    private readonly templates: TemplatesService,
    private readonly origins: RequestOrigins,
  ) {}

  @Get()
  @Paged()
  @ApiOperation({ operationId: 'listTemplates', summary: 'What environments can be made from' })
  @ApiOkResponse({ type: [TemplateDto] })
  async list(@Query() query: TemplateQuery): Promise<Page<TemplateDto>> {
    const { category, status } = query;
    const filter = { ...(category === undefined ? {} : { category }), ...(status === undefined ? {} : { status }) };
    return mapPage(await this.templates.list(filter, query.toRequest()), toTemplateDto);
  }

  @Get(':name')
  @ApiOperation({ operationId: 'getTemplate', summary: 'One template' })
  @ApiParam({ name: 'name', schema: { type: 'string', pattern: TEMPLATE_NAME } })
  @ApiOkResponse({ type: TemplateDto })
  async get(@Param('name') name: string): Promise<TemplateDto> {
    return toTemplateDto(await this.templates.get(name));
  }

  @Post()
  @Admin()
  @ApiOperation({ operationId: 'createTemplate', summary: 'A new template' })
  @ApiBody({ type: TemplateDefinitionDto })
  @ApiCreatedResponse({ type: TemplateDto })
  @ApiProblems({ 400: ['name_taken'] })
  async create(@CurrentPrincipal() principal: Principal, @Req() request: Request, @Body() body: object): Promise<TemplateDto> {
    return toTemplateDto(await this.templates.create(this.actor(principal, request), parseTemplate(body)));
  }

  @Put(':name')
  @Admin()
  @ApiOperation({ operationId: 'changeTemplate', summary: 'A new version; environments keep the one that they were made from' })
  @ApiParam({ name: 'name', schema: { type: 'string', pattern: TEMPLATE_NAME } })
  @ApiBody({ type: TemplateChangeDto })
  @ApiOkResponse({ type: TemplateDto })
  async change(
    @CurrentPrincipal() principal: Principal,
    @Req() request: Request,
    @Param('name') name: string,
    @Body() body: object,
  ): Promise<TemplateDto> {
    const definition = parseTemplate({ name, ...body });
    if (definition.name !== name)
      throw DomainError.invalid({ field: 'name', code: 'name_fixed', message: `is that of the path, ${name}` });
    return toTemplateDto(await this.templates.change(this.actor(principal, request), definition));
  }

  @Delete(':name')
  @Admin()
  @HttpCode(204)
  @ApiOperation({ operationId: 'deprecateTemplate', summary: 'Offers it no more; environments made from it go on' })
  @ApiParam({ name: 'name', schema: { type: 'string', pattern: TEMPLATE_NAME } })
  @ApiNoContentResponse()
  async deprecate(@CurrentPrincipal() principal: Principal, @Req() request: Request, @Param('name') name: string): Promise<void> {
    await this.templates.deprecate(this.actor(principal, request), name);
  }

  private actor({ userId }: Principal, request: Request): TemplateActor {
    const { ip, requestId } = this.origins.of(request);
    return { userId, ip, requestId };
  }
}
