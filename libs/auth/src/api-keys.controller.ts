import { CurrentPrincipal, type Principal } from '@devpocket/access';
import { ApiProblems, IdPipe, mapPage, Paged, PageQuery, RequestOrigins } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { type Request } from 'express';
import { ApiKeyDto, CreateApiKeyDto, NewApiKeyDto, toApiKeyDto } from './api-key.dto';
import { ApiKeysService } from './api-keys.service';

@ApiTags('auth')
@Controller('auth/api-keys')
export class ApiKeysController {
  constructor(
    private readonly keys: ApiKeysService,
    private readonly origins: RequestOrigins,
  ) {}

  @Post()
  @ApiOperation({ operationId: 'createApiKey', summary: 'A key for scripts and machines, shown this once' })
  @ApiCreatedResponse({ type: NewApiKeyDto })
  @ApiProblems({ 403: ['api_key_limit'] })
  async create(
    @CurrentPrincipal() caller: Principal,
    @Body() { name, scopes, expires_at: expires = null }: CreateApiKeyDto,
    @Req() request: Request,
  ): Promise<NewApiKeyDto> {
    const wanted = { name, scopes, expiresAt: expires === null ? null : new Date(expires) };
    const { apiKey, key } = await this.keys.create(caller, wanted, this.origins.of(request));
    return { ...toApiKeyDto(apiKey), key };
  }

  @Get()
  @Paged()
  @ApiOperation({ operationId: 'listApiKeys', summary: "The caller's keys, newest first" })
  @ApiOkResponse({ type: [ApiKeyDto] })
  async list(@CurrentPrincipal() { userId }: Principal, @Query() page: PageQuery): Promise<Page<ApiKeyDto>> {
    return mapPage(await this.keys.list(userId, page.toRequest()), toApiKeyDto);
  }

  @Delete(':id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'revokeApiKey', summary: 'Ends a key, with the tickets, sockets and streams that it opened' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiNoContentResponse()
  async revoke(
    @CurrentPrincipal() { userId }: Principal,
    @Param('id', new IdPipe('API key')) id: string,
    @Req() request: Request,
  ): Promise<void> {
    await this.keys.revoke(userId, id, this.origins.of(request));
  }
}
