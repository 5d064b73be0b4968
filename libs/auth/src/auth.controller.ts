import { AnyCredential, CurrentPrincipal, type Principal, Public } from '@devpocket/access';
import { ApiProblems, Etag, IdPipe, mapPage, Paged, PageQuery, RateLimit, RequestOrigins } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { toUserDto, UserDto, UsersService } from '@devpocket/users';
import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Req } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { type Request } from 'express';
import { LoginDto, MessageDto, RefreshDto, RegisterDto, SessionDto, TokenDto, toSessionDto, toTokenDto } from './auth.dto';
import { RegistrationService } from './registration.service';
import { SessionsService } from './sessions.service';
import { SignInService } from './sign-in.service';

@ApiTags('auth')
@Controller('auth')
export class AuthController {
  constructor(
    private readonly registration: RegistrationService,
    private readonly signIn: SignInService,
    private readonly sessions: SessionsService,
    private readonly users: UsersService,
    private readonly origins: RequestOrigins,
  ) {}

  @Post('register')
  @Public()
  @RateLimit('auth')
  @ApiOperation({ operationId: 'register', summary: 'A new account' })
  @ApiCreatedResponse({ type: UserDto })
  @ApiProblems({ 400: ['email_taken', 'username_taken'], 403: ['registration_closed'] })
  async register(@Body() dto: RegisterDto, @Req() request: Request): Promise<UserDto> {
    const { full_name: fullName = null, preferred_region: preferredRegion = null, ...names } = dto;
    return toUserDto(await this.registration.register({ ...names, fullName, preferredRegion }, this.origins.of(request)));
  }

  @Post('login')
  @HttpCode(200)
  @Public()
  @RateLimit('auth')
  @ApiOperation({ operationId: 'login', summary: 'A session for a name and a password' })
  @ApiOkResponse({ type: TokenDto })
  @ApiProblems({ 401: ['invalid_credentials', 'account_locked'] })
  async login(@Body() dto: LoginDto, @Req() request: Request): Promise<TokenDto> {
    return toTokenDto(await this.signIn.signIn(dto.username_or_email, dto.password, this.origins.of(request)));
  }

  @Post('refresh')
  @HttpCode(200)
  @Public()
  @ApiOperation({
    operationId: 'refresh',
    summary: 'The next tokens; for 60 s the same refresh token gives the same successor again',
  })
  @ApiOkResponse({ type: TokenDto })
  @ApiProblems({ 401: ['token_invalid', 'token_expired', 'session_revoked', 'refresh_reused'] })
  async refresh(@Body() dto: RefreshDto, @Req() request: Request): Promise<TokenDto> {
    return toTokenDto(await this.sessions.refresh(dto.refresh_token, this.origins.of(request)));
  }

  @Get('me')
  @AnyCredential()
  @Etag()
  @ApiOperation({ operationId: 'getMe', summary: 'The caller' })
  @ApiOkResponse({ type: UserDto })
  async me(@CurrentPrincipal() { userId }: Principal): Promise<UserDto> {
    return toUserDto(await this.users.getOwn(userId));
  }

  @Post('logout')
  @HttpCode(200)
  @ApiOperation({ operationId: 'logout', summary: 'Ends this session; its tokens and sockets end at once' })
  @ApiOkResponse({ type: MessageDto })
  async logout(@CurrentPrincipal() { userId, credential }: Principal, @Req() request: Request): Promise<MessageDto> {
    await this.sessions.end(userId, credential.id, 'session.ended', this.origins.of(request));
    return { message: 'Logged out' };
  }

  @Get('sessions')
  @Paged()
  @ApiOperation({ operationId: 'listSessions', summary: 'The devices that are signed in, newest first' })
  @ApiOkResponse({ type: [SessionDto] })
  async list(@CurrentPrincipal() { userId, credential }: Principal, @Query() page: PageQuery): Promise<Page<SessionDto>> {
    return mapPage(await this.sessions.list(userId, page.toRequest()), (session) => toSessionDto(session, credential.id));
  }

  @Delete('sessions/:id')
  @HttpCode(204)
  @ApiOperation({ operationId: 'revokeSession', summary: 'Signs a device out' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiNoContentResponse()
  async revoke(
    @CurrentPrincipal() { userId }: Principal,
    @Param('id', new IdPipe('Session')) id: string,
    @Req() request: Request,
  ): Promise<void> {
    await this.sessions.end(userId, id, 'session.revoked', this.origins.of(request));
  }
}
