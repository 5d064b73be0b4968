import { Admin, CurrentPrincipal, NeedsScope, type Principal } from '@devpocket/access';
import { Etag, IdPipe, mapPage, Paged, PageQuery } from '@devpocket/http';
import { type Page } from '@devpocket/kernel';
import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { AllowanceService } from './allowance.service';
import { AllowanceDto, toAllowanceDto, toUserDto, UserDto } from './user.dto';
import { UsersService } from './users.service';

@ApiTags('users')
@Controller('users')
export class UsersController {
  constructor(
    private readonly users: UsersService,
    private readonly allowances: AllowanceService,
  ) {}

  @Get('me')
  @Etag()
  @ApiOperation({ operationId: 'getOwnUser', summary: 'The caller (the same as GET /auth/me)' })
  @ApiOkResponse({ type: UserDto })
  async me(@CurrentPrincipal() { userId }: Principal): Promise<UserDto> {
    return toUserDto(await this.users.getOwn(userId));
  }

  @Get('me/allowance')
  @NeedsScope('env:read')
  @ApiOperation({ operationId: 'getAllowance', summary: 'Every limit of the caller, and what is still possible' })
  @ApiOkResponse({ type: AllowanceDto })
  async allowance(@CurrentPrincipal() principal: Principal): Promise<AllowanceDto> {
    return toAllowanceDto(await this.allowances.allowanceOf(principal));
  }

  @Get()
  @Admin()
  @Paged()
  @Etag()
  @ApiOperation({ operationId: 'listUsers', summary: 'Every account, newest first' })
  @ApiOkResponse({ type: [UserDto] })
  async list(@Query() page: PageQuery): Promise<Page<UserDto>> {
    return mapPage(await this.users.list(page.toRequest()), toUserDto);
  }

  @Get(':id')
  @Admin()
  @Etag()
  @ApiOperation({ operationId: 'getUser', summary: 'One account' })
  @ApiParam({ name: 'id', type: 'string' })
  @ApiOkResponse({ type: UserDto })
  async get(@Param('id', new IdPipe('User')) id: string): Promise<UserDto> {
    return toUserDto(await this.users.get(id));
  }
}
