import { Public } from '@devpocket/access';
import { AppSettings, HttpSettings } from '@devpocket/config';
import { Clock, DomainError } from '@devpocket/kernel';
import { Controller, Get, Header, Headers, HttpCode, Res } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiOkResponse, ApiOperation, ApiProperty, ApiResponse, ApiTags } from '@nestjs/swagger';
import { type Response } from 'express';
import { createHash, timingSafeEqual } from 'node:crypto';
import { HealthRegistry } from './health';
import { MetricsRegistry } from './metrics';
import { RateLimit } from './rate-limit.guard';

class HealthDto {
  @ApiProperty({ type: 'string', enum: ['healthy'] })
  status!: 'healthy';
  @ApiProperty({ type: 'string' })
  service!: string;
  @ApiProperty({ type: 'string' })
  version!: string;
  @ApiProperty({ type: 'string' })
  environment!: string;
  @ApiProperty({ type: 'string', format: 'date-time' })
  timestamp!: string;
}

class LoopDto {
  @ApiProperty({ type: 'string' })
  name!: string;
  @ApiProperty({ type: 'boolean' })
  running!: boolean;
  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  last_turn_at!: string | null;
  @ApiProperty({ type: 'integer' })
  failures!: number;
}

class ReadinessDto {
  @ApiProperty({ type: 'string', enum: ['ready', 'not_ready'] })
  status!: 'ready' | 'not_ready';
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' }, example: { database: 'healthy' } })
  checks!: Readonly<Record<string, string>>;
  @ApiProperty({ type: [LoopDto], description: 'Background work' })
  background!: readonly LoopDto[];
}

class LivenessDto {
  @ApiProperty({ type: 'string', enum: ['alive'] })
  status!: 'alive';
}

/** What operators and load balancers ask (contract §7). */
@ApiTags('service')
@Public()
@RateLimit('exempt')
@Controller()
export class ServiceController {
  constructor(
    private readonly app: AppSettings,
    private readonly http: HttpSettings,
    private readonly clock: Clock,
    private readonly health: HealthRegistry,
    private readonly metrics: MetricsRegistry,
  ) {}

  @Get('health')
  @ApiOperation({ operationId: 'getHealth', summary: 'Is the server answering?' })
  @ApiOkResponse({ type: HealthDto })
  healthy(): HealthDto {
    const { version, environment } = this.app;
    return { status: 'healthy', service: 'DevPocket API', version, environment, timestamp: this.clock.now().toISOString() };
  }

  @Get('/')
  @ApiExcludeEndpoint()
  root(): HealthDto {
    return this.healthy();
  }

  @Get('health/ready')
  @ApiOperation({ operationId: 'getReadiness', summary: 'May requests be sent here?' })
  @ApiOkResponse({ type: ReadinessDto })
  @ApiResponse({ status: 503, type: ReadinessDto })
  async readiness(@Res({ passthrough: true }) response: Response): Promise<ReadinessDto> {
    const { ready, checks } = await this.health.ready();
    response.status(ready ? 200 : 503);
    if (!ready) response.setHeader('Retry-After', '5');
    return { status: ready ? 'ready' : 'not_ready', checks, background: this.health.background() };
  }

  @Get('health/live')
  @ApiOperation({ operationId: 'getLiveness', summary: 'Is the process alive?' })
  @ApiOkResponse({ type: LivenessDto })
  live(): LivenessDto {
    return { status: 'alive' };
  }

  /** Behind METRICS_TOKEN; with METRICS_PORT they are on that port instead; with neither there is no such page. */
  @Get('metrics')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiExcludeEndpoint()
  async exposition(@Headers('authorization') authorization: string | undefined, @Res() response: Response): Promise<void> {
    if (this.http.metricsToken === null) throw DomainError.notFound('Route');
    if (!sameText(authorization ?? '', `Bearer ${this.http.metricsToken}`)) {
      throw new DomainError(
        'unauthenticated',
        authorization === undefined ? 'token_missing' : 'token_invalid',
        'METRICS_TOKEN is needed as a bearer token',
      );
    }
    response.type(this.metrics.contentType).send(await this.metrics.metrics());
  }
}

/** In constant time, whatever the lengths. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
