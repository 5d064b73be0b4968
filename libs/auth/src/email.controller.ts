import { CurrentPrincipal, type Principal, Public } from '@devpocket/access';
import { ApiProblems, RateLimit, RequestOrigins } from '@devpocket/http';
import { Body, Controller, HttpCode, Post, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { type Request } from 'express';
import { MessageDto } from './auth.dto';
import { ForgotPasswordDto, MailTokenDto, ResetPasswordDto } from './email.dto';
import { EmailService } from './email.service';
import { PasswordResetService } from './password-reset.service';

@ApiTags('auth')
@Controller('auth')
export class EmailController {
  constructor(
    private readonly emails: EmailService,
    private readonly resets: PasswordResetService,
    private readonly origins: RequestOrigins,
  ) {}

  @Post('verify-email')
  @HttpCode(200)
  @Public()
  @ApiOperation({ operationId: 'verifyEmail', summary: 'Proves an address by the code that was sent to it' })
  @ApiOkResponse({ type: MessageDto })
  @ApiProblems({ 400: ['token_invalid', 'email_taken'] })
  async verify(@Body() { token }: MailTokenDto, @Req() request: Request): Promise<MessageDto> {
    await this.emails.verify(token, this.origins.of(request));
    return { message: 'Email address verified' };
  }

  @Post('resend-verification')
  @HttpCode(200)
  @ApiOperation({ operationId: 'resendVerification', summary: 'Another mail with a code, where there is an address to verify' })
  @ApiOkResponse({ type: MessageDto })
  async resend(@CurrentPrincipal() caller: Principal): Promise<MessageDto> {
    const sent = await this.emails.resend(caller);
    return { message: sent ? 'A verification mail is on its way' : 'There is nothing to verify' };
  }

  @Post('forgot-password')
  @HttpCode(202)
  @Public()
  @RateLimit('auth')
  @ApiOperation({
    operationId: 'forgotPassword',
    summary: 'A mail with a code to set a new password, if there is such an account',
  })
  @ApiAcceptedResponse({ type: MessageDto })
  async forgot(@Body() { email }: ForgotPasswordDto): Promise<MessageDto> {
    await this.emails.forgot(email);
    return { message: 'If there is an account with this address, a mail is on its way' };
  }

  @Post('reset-password')
  @HttpCode(200)
  @Public()
  @ApiOperation({ operationId: 'resetPassword', summary: 'Sets a new password; every session and API key ends' })
  @ApiOkResponse({ type: MessageDto })
  @ApiProblems({ 400: ['token_invalid'] })
  async reset(@Body() { token, new_password: password }: ResetPasswordDto, @Req() request: Request): Promise<MessageDto> {
    await this.resets.reset(token, password, this.origins.of(request));
    return { message: 'Password set; sign in with it' };
  }
}
