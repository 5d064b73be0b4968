import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { type Request, type Response } from 'express';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Observable } from 'rxjs';
import { HealthRegistry } from './health';

/** As a health check's: well below the ten seconds that Prometheus waits. */
const SCRAPE_MS = 2_000;

/** For a metric that is asked for somewhere else: null when that fails or is late, so that all the others are told. */
export async function whileScraped<T>(look: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), SCRAPE_MS)));
  try {
    return await Promise.race([look, late]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** How often the event loop's delay is looked at, which is part of the delay it tells. Every 10 ms, its default, was two thirds of an idle server's wake-ups. */
const LAG_EVERY_MS = 50;

/** The registry that `/metrics` shows; features register their own metrics on it. */
@Injectable()
export class MetricsRegistry extends Registry {
  constructor() {
    super();
    collectDefaultMetrics({ register: this, eventLoopMonitoringPrecision: LAG_EVERY_MS });
  }
}

/** What readiness depends on, for alerts: `/health/ready` tells whoever asks, and nobody of what was. */
@Injectable()
export class HealthGauge {
  constructor(registry: MetricsRegistry, health: HealthRegistry) {
    new Gauge({
      name: 'devpocket_health',
      help: 'Whether a part that readiness depends on works (1) or not (0)',
      labelNames: ['check'],
      registers: [registry],
      async collect(): Promise<void> {
        const { checks } = await health.ready();
        this.reset();
        for (const [check, found] of Object.entries(checks)) this.set({ check }, found === 'healthy' ? 1 : 0);
      },
    });
  }
}

/** Latencies by route pattern, never by path: ids would make a series each. */
@Injectable()
export class MetricsInterceptor implements NestInterceptor {
  private readonly seconds: Histogram<'method' | 'route' | 'status'>;

  constructor(registry: MetricsRegistry) {
    this.seconds = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the route being known to the answer being made',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers: [registry],
    });
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType() !== 'http') return next.handle();
    const request = context.switchToHttp().getRequest<Request>();
    const response = context.switchToHttp().getResponse<Response>();
    const stop = this.seconds.startTimer({ method: request.method, route: routeOf(request) });
    // How long a stream was open is no latency.
    response.once('close', () => {
      if (!isStream(response)) stop({ status: String(response.statusCode) });
    });
    return next.handle();
  }
}

function isStream(response: Response): boolean {
  return String(response.getHeader('content-type')).startsWith('text/event-stream');
}

function routeOf(request: Request): string {
  const route: unknown = request.route;
  return typeof route === 'object' && route !== null && 'path' in route && typeof route.path === 'string'
    ? route.path
    : 'unknown';
}
