import { Public } from '@devpocket/access';
import {
  AppSettings,
  GoogleSettings,
  HttpSettings,
  RateLimitSettings,
  RuntimeSettings,
  TerminalSettings,
} from '@devpocket/config';
import { SUBPROTOCOL } from '@devpocket/websocket';
import { RuntimeRegistry } from '@devpocket/runtime';
import { bytesQuantity, cpuQuantity, PLAN_LIMITS, PLANS } from '@devpocket/users';
import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';

class FeaturesDto {
  @ApiProperty({ type: 'boolean' })
  custom_images!: boolean;
  @ApiProperty({ type: 'boolean' })
  google_sign_in!: boolean;
  @ApiProperty({ type: [String], description: 'Runtimes that this server has' })
  runtimes!: string[];
  @ApiProperty({ type: [String], description: 'WebSocket subprotocols' })
  terminal_protocols!: string[];
}

class ServiceLimitsDto {
  @ApiProperty({ type: 'integer', description: 'Bytes' })
  max_body_bytes!: number;
  @ApiProperty({ type: 'integer', nullable: true, description: 'Requests a minute per user; null: not limited' })
  requests_per_minute!: number | null;
  @ApiProperty({ type: 'integer' })
  connections_per_user!: number;
  @ApiProperty({ type: 'integer' })
  terminals_per_environment!: number;
  @ApiProperty({ type: 'integer', description: 'Bytes of output kept per session' })
  terminal_buffer_bytes!: number;
}

class PlanDto {
  @ApiProperty({ type: 'string' })
  name!: string;
  @ApiProperty({ type: 'integer' })
  active!: number;
  @ApiProperty({ type: 'integer' })
  kept!: number;
  @ApiProperty({ type: 'string', example: '500m' })
  cpu!: string;
  @ApiProperty({ type: 'string', example: '1Gi' })
  memory!: string;
  @ApiProperty({ type: 'string', example: '5Gi' })
  storage!: string;
  @ApiProperty({ type: 'integer', nullable: true })
  auto_stop_minutes!: number | null;
  @ApiProperty({ type: 'integer', nullable: true })
  longest_run_minutes!: number | null;
}

class InfoDto {
  @ApiProperty({ type: 'string' })
  name!: string;
  @ApiProperty({ type: 'string' })
  version!: string;
  @ApiProperty({ type: 'string' })
  environment!: string;
  @ApiProperty({ type: FeaturesDto })
  features!: FeaturesDto;
  @ApiProperty({ type: ServiceLimitsDto })
  limits!: ServiceLimitsDto;
  @ApiProperty({ type: [PlanDto] })
  plans!: PlanDto[];
}

/** What a client may know before anyone has signed in. */
@ApiTags('service')
@Public()
@Controller('info')
export class InfoController {
  constructor(
    private readonly app: AppSettings,
    private readonly http: HttpSettings,
    private readonly google: GoogleSettings,
    private readonly rateLimit: RateLimitSettings,
    private readonly runtime: RuntimeSettings,
    private readonly terminal: TerminalSettings,
    private readonly runtimes: RuntimeRegistry,
  ) {}

  @Get()
  @ApiOperation({ operationId: 'getInfo', summary: 'Version, features, limits and plans' })
  @ApiOkResponse({ type: InfoDto })
  info(): InfoDto {
    return {
      name: 'DevPocket API',
      version: this.app.version,
      environment: this.app.environment,
      features: {
        custom_images: this.runtime.allowCustomImages,
        google_sign_in: this.google.clientId !== null,
        runtimes: this.runtimes.all().map(({ kind }) => kind),
        terminal_protocols: Object.values(SUBPROTOCOL),
      },
      limits: {
        max_body_bytes: this.http.maxBodyBytes,
        requests_per_minute: this.rateLimit.enabled ? this.rateLimit.perMinute : null,
        connections_per_user: this.terminal.maxConnectionsPerUser,
        terminals_per_environment: this.terminal.maxSessionsPerEnvironment,
        terminal_buffer_bytes: this.terminal.bufferBytes,
      },
      plans: PLANS.map((name) => {
        const limits = PLAN_LIMITS[name];
        return {
          name,
          active: limits.active,
          kept: limits.kept,
          cpu: cpuQuantity(limits.cpuMillis),
          memory: bytesQuantity(limits.memoryBytes),
          storage: bytesQuantity(limits.storageBytes),
          auto_stop_minutes: limits.autoStopMinutes,
          longest_run_minutes: limits.longestRunMinutes,
        };
      }),
    };
  }
}
