import { Admin, CurrentPrincipal, type Principal } from '@devpocket/access';
import { ApiProblems, IdPipe, RequestOrigins } from '@devpocket/http';
import { toUserDto, UserDto } from '@devpocket/users';
import { Body, Controller, Delete, HttpCode, Param, Patch, Post, Put, Req } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { type Request } from 'express';
import { ChangePasswordDto, RemoveAccountDto, UpdateMeDto, UpdateUserDto } from './account.dto';
import { AccountService } from './account.service';
import { MessageDto } from './auth.dto';
import { BODY_FAULTS, TOKEN_FAULTS } from './problems';

const OWN_CHANGE = {
  ...BODY_FAULTS,
  400: ['malformed_json', 'email_taken'],
  403: ['forbidden', 'wrong_password', 'account_locked'],
  503: ['unavailable'],
};

@ApiTags('users')
@ApiProblems({ ...TOKEN_FAULTS, 429: ['rate_limited'] })
@Controller('users')
export class AccountController {
  constructor(
    private readonly accounts: AccountService,
    private readonly origins: RequestOrigins,
  ) {}

  @Patch('me')
  @ApiOperation({ operationId: 'updateMe', summary: "Changes the caller's profile; another address needs the password" })
  @ApiOkResponse({ type: UserDto })
  @ApiProblems(OWN_CHANGE)
  async update(@CurrentPrincipal() caller: Principal, @Body() dto: UpdateMeDto, @Req() request: Request): Promise<UserDto> {
    const { full_name: fullName, preferred_region: preferredRegion, email, current_password: password } = dto;
    const change = {
      ...(fullName === undefined ? {} : { fullName }),
      ...(preferredRegion === undefined ? {} : { preferredRegion }),
      ...(email === undefined ? {} : { email }),
    };
    return toUserDto(await this.accounts.changeOwn(caller, change, password, this.origins.of(request)));
  }

  @Put('me')
  @ApiOperation({ operationId: 'putMe', summary: 'The same as PATCH /users/me' })
  @ApiOkResponse({ type: UserDto })
  @ApiProblems(OWN_CHANGE)
  put(@CurrentPrincipal() caller: Principal, @Body() dto: UpdateMeDto, @Req() request: Request): Promise<UserDto> {
    return this.update(caller, dto, request);
  }

  @Post('me/password')
  @HttpCode(200)
  @ApiOperation({ operationId: 'changePassword', summary: 'Replaces the password; every other session ends' })
  @ApiOkResponse({ type: MessageDto })
  @ApiProblems({ ...OWN_CHANGE, ...BODY_FAULTS })
  async changePassword(
    @CurrentPrincipal() caller: Principal,
    @Body() { current_password: current, new_password: next }: ChangePasswordDto,
    @Req() request: Request,
  ): Promise<MessageDto> {
    await this.accounts.changePassword(caller, current, next, this.origins.of(request));
    return { message: 'Password changed' };
  }

  @Delete('me')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'deleteMe',
    summary: 'Removes the account: at once for its owner, its environments and their data after that',
  })
  @ApiAcceptedResponse({ type: MessageDto })
  @ApiProblems({
    ...BODY_FAULTS,
    403: ['forbidden', 'wrong_password', 'account_locked', 'google_sign_in_needed'],
    503: ['unavailable'],
  })
  async remove(
    @CurrentPrincipal() caller: Principal,
    @Body() body: RemoveAccountDto | undefined,
    @Req() request: Request,
  ): Promise<MessageDto> {
    await this.accounts.removeOwn(caller, body?.password, this.origins.of(request));
    return { message: 'Account deletion started' };
  }

  @Patch(':id')
  @Admin()
  @ApiOperation({ operationId: 'updateUser', summary: 'Changes an account; deactivating ends all that it has open' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: UserDto })
  @ApiProblems({ ...BODY_FAULTS, 403: ['forbidden', 'scope_missing'], 404: ['not_found'] })
  async change(
    @CurrentPrincipal() caller: Principal,
    @Param('id', new IdPipe('User')) id: string,
    @Body() dto: UpdateUserDto,
    @Req() request: Request,
  ): Promise<UserDto> {
    const { subscription_plan: plan, is_active: isActive, is_verified: isVerified } = dto;
    const change = {
      ...(plan === undefined ? {} : { plan }),
      ...(isActive === undefined ? {} : { isActive }),
      ...(isVerified === undefined ? {} : { isVerified }),
    };
    return toUserDto(await this.accounts.changeOther(caller, id, change, this.origins.of(request)));
  }
}
