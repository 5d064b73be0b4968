import { CurrentPrincipal, type Principal, Public } from '@devpocket/access';
import { ApiProblems, RateLimit, RequestOrigins } from '@devpocket/http';
import { Body, Controller, Get, Header, HttpCode, Post, Query, Redirect, Req, Res } from '@nestjs/common';
import { ApiFoundResponse, ApiOkResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type Request, type Response } from 'express';
import { MessageDto, TokenDto, toTokenDto } from './auth.dto';
import { GoogleBrowser } from './google-browser';
import { GoogleExchangeDto, GoogleLinkDto, GoogleLoginQuery, GoogleTokenDto } from './google.dto';
import { GoogleLinkService } from './google-link.service';
import { GoogleSignInService } from './google-sign-in.service';
import { GoogleStateStore } from './google-state-store';
import { BODY_FAULTS, TOKEN_FAULTS } from './problems';

/** An address is no longer than 16 KiB in all. */
const MOST_RETURNED = 8_192;
const NOT_THERE = { 503: ['google_not_configured', 'unavailable'] };

@ApiTags('auth')
@ApiProblems({ 429: ['rate_limited'] })
@Controller('auth/google')
export class GoogleController {
  constructor(
    private readonly google: GoogleSignInService,
    private readonly links: GoogleLinkService,
    private readonly browser: GoogleBrowser,
    private readonly states: GoogleStateStore,
    private readonly origins: RequestOrigins,
  ) {}

  @Post()
  @HttpCode(200)
  @Public()
  @RateLimit('auth')
  @ApiOperation({ operationId: 'googleSignIn', summary: 'A session for a Google ID token; the first one makes the account' })
  @ApiOkResponse({ type: TokenDto })
  @ApiProblems({
    ...BODY_FAULTS,
    ...NOT_THERE,
    400: ['malformed_json', 'google_link_required'],
    401: ['google_token_invalid'],
    403: ['registration_closed'],
  })
  async signIn(@Body() { token, nonce }: GoogleTokenDto, @Req() request: Request): Promise<TokenDto> {
    return toTokenDto(await this.google.signIn(token, nonce, this.origins.of(request)));
  }

  @Post('link')
  @HttpCode(200)
  @ApiOperation({ operationId: 'linkGoogle', summary: 'Joins a Google identity to the account, whose address is told of it' })
  @ApiOkResponse({ type: MessageDto })
  @ApiProblems({
    ...BODY_FAULTS,
    ...NOT_THERE,
    400: ['malformed_json', 'google_identity_taken'],
    401: [...TOKEN_FAULTS[401], 'google_token_invalid'],
    403: ['forbidden', 'wrong_password', 'account_locked', 'google_sign_in_needed'],
  })
  async link(
    @CurrentPrincipal() caller: Principal,
    @Body() { token, nonce, current_password: password }: GoogleLinkDto,
    @Req() request: Request,
  ): Promise<MessageDto> {
    await this.links.link(caller, { token, nonce, password }, this.origins.of(request));
    return { message: 'Google account linked' };
  }

  @Get('login')
  @Public()
  @Header('Cache-Control', 'no-store')
  @Redirect()
  @ApiOperation({
    operationId: 'beginGoogleSignIn',
    summary: 'Sends a browser to Google; the app keeps the verifier of its challenge',
  })
  @ApiFoundResponse({ description: 'To Google' })
  @ApiProblems({ ...NOT_THERE, 422: ['validation_error'] })
  async login(@Req() request: Request, @Query() { code_challenge: challenge }: GoogleLoginQuery): Promise<{ url: string }> {
    return { url: await this.browser.begin(request, challenge) };
  }

  @Get('callback')
  @Public()
  @Header('Cache-Control', 'no-store')
  @Redirect()
  @ApiOperation({
    operationId: 'finishGoogleSignIn',
    summary: 'Where Google sends the browser back to, and it goes on to the app',
  })
  @ApiQuery({ name: 'code', schema: { type: 'string', maxLength: MOST_RETURNED }, required: false })
  @ApiQuery({ name: 'state', schema: { type: 'string', maxLength: MOST_RETURNED }, required: false })
  @ApiQuery({ name: 'error', schema: { type: 'string', maxLength: MOST_RETURNED }, required: false })
  @ApiFoundResponse({
    description:
      'To `GOOGLE_SUCCESS_REDIRECT` with `code`, good for a minute, or with `error`: `access_denied`, `google_state_invalid`, ' +
      '`google_token_invalid`, `google_link_required`, `registration_closed`, `rate_limited` or `unavailable`',
  })
  @ApiProblems({ 503: ['google_not_configured', 'unavailable'] })
  async callback(@Req() request: Request, @Res({ passthrough: true }) response: Response): Promise<{ url: string }> {
    const url = await this.browser.finish(request, this.origins.of(request));
    this.states.clear(response);
    return { url };
  }

  @Post('exchange')
  @HttpCode(200)
  @Public()
  @RateLimit('auth')
  @ApiOperation({ operationId: 'exchangeGoogleCode', summary: 'A session for the code that a browser brought, once' })
  @ApiOkResponse({ type: TokenDto })
  @ApiProblems({ ...BODY_FAULTS, 401: ['google_code_invalid'], 503: ['google_not_configured'] })
  async exchange(@Body() { code, code_verifier: verifier }: GoogleExchangeDto, @Req() request: Request): Promise<TokenDto> {
    return toTokenDto(await this.browser.exchange(code, verifier, this.origins.of(request)));
  }
}
