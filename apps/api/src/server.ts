import { type HttpSettings, type Settings } from '@devpocket/config';
import { RegistrationGate } from '@devpocket/auth';
import { DatabaseHandle, ensureIndexes, type IndexReport } from '@devpocket/database';
import { HealthRegistry, MetricsRegistry } from '@devpocket/http';
import { hasCode } from '@devpocket/kernel';
import { SharedStateLink } from '@devpocket/shared-state';
import { RuntimeRegistry } from '@devpocket/runtime';
import { type INestApplicationContext, Logger as NestLogger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getConnectionToken } from '@nestjs/mongoose';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { Logger } from 'nestjs-pino';
import { createServer, type Server } from 'node:http';
import { type Connection } from 'mongoose';
import { Gauge } from 'prom-client';
import { type AddressInfo, isIP } from 'node:net';
import { AppModule } from './app.module';
import { CONNECTION_LIMITS, endConnections, limitConnections } from './connection-limits';
import { closeHttpEdge, dressHttpEdge } from './http-edge';
import { isLoopback } from './origins';
import { DevPocketWsAdapter } from './ws-adapter';
import { RuntimeRegistrationPolicy } from './registration-policy';
import { type Runtimes } from './runtime.module';

/** A server that listens; `stop` is graceful and bounded by SHUTDOWN_GRACE_SECONDS. */
export interface RunningServer {
  readonly app: NestExpressApplication;
  /** Where it listens, e.g. `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly summary: readonly string[];
  readonly warnings: readonly string[];
  stop(signal: 'SIGINT' | 'SIGTERM'): Promise<void>;
}

/** Starts the whole server; the command and the end-to-end tests use this same function. */
export async function startServer(settings: Settings, made: Runtimes, limits = CONNECTION_LIMITS): Promise<RunningServer> {
  const app = await NestFactory.create<NestExpressApplication>(AppModule.forRoot(settings, made), {
    bodyParser: false,
    logger: false,
    abortOnError: false,
  });
  try {
    dressHttpEdge(app);
    const sockets = new DevPocketWsAdapter(app);
    app.useWebSocketAdapter(sockets);
    const runtimes = app.get(RuntimeRegistry);
    refuseExposure(settings.http, runtimes);
    await app.get(RegistrationGate).join(new RuntimeRegistrationPolicy(runtimes));
    // Before the first background turn and the first request: unique indexes are what limits and names stand on.
    const connection = app.get<Connection>(getConnectionToken());
    reportIndexes(await ensureIndexes(connection));
    app.get(HealthRegistry).register('database', () => ping(connection));
    const shared = app.get(SharedStateLink);
    // Without Redis most goes on, and a proxy that turned away from all replicas at once would help nobody.
    if (shared.isShared) app.get(HealthRegistry).register('redis', () => shared.check(), { needed: false });
    measureRedis(shared, app.get(MetricsRegistry));
    await app.init();
    app.useLogger(app.get(Logger));
    closeHttpEdge(app);
    const { host, port } = settings.http;
    limitConnections(app.getHttpServer(), limits);
    await listening(`HOST=${host} PORT=${port}`, app.listen(port, host));
    const metrics = await listenForMetrics(settings.http, app.get(MetricsRegistry));
    const url = urlOf(settings.http.host, portOf(app.getHttpServer()));
    const database = app.get(DatabaseHandle);
    return {
      app,
      url,
      summary: [
        `API        ${url}/api/v1`,
        ...(settings.http.docsEnabled ? [`Swagger UI ${url}/docs`] : []),
        `Database   ${databaseSummary(database)}`,
        ...(shared.isShared ? [`Redis      ${shared.isUp ? 'shared with other replicas' : 'does not answer yet'}`] : []),
        ...runtimes.reports().map((report) => `Runtime    ${report.kind}: ${report.summary}`),
      ],
      warnings: [...runtimes.reports().flatMap((report) => report.warnings), ...reservations(settings, runtimes)],
      stop: async (signal) => {
        app.get(HealthRegistry).stop();
        sockets.restarting();
        metrics?.close();
        endConnections(app.getHttpServer());
        await withinGrace(closeWith(app, signal), settings.http.shutdownGraceSeconds);
      },
    };
  } catch (error) {
    await app.close().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

/** What settings do not do. */
function reservations({ auth, sharedState }: Settings, runtimes: RuntimeRegistry): readonly string[] {
  const local = runtimes.reports().some(({ kind }) => kind === 'local');
  return [
    ...(auth.verifiesEmail
      ? []
      : ['SMTP_URL is not set: accounts count as verified at once, and mails are written to DATA_DIR/mail']),
    ...(local && sharedState.redisUrl !== null
      ? ['REDIS_URL is set, but environments of the local runtime live on this machine alone: run one replica only']
      : []),
  ];
}

function measureRedis(shared: SharedStateLink, registry: MetricsRegistry): void {
  if (!shared.isShared) return;
  const gauge: Gauge = new Gauge({
    name: 'devpocket_redis_up',
    help: '1 while Redis answers this replica',
    registers: [registry],
    collect: () => gauge.set(shared.isUp ? 1 : 0),
  });
}

/** @param settings what to change when it cannot */
async function listening(settings: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    const hint = hasCode(error, 'EADDRINUSE') ? '. Another server listens there: stop it, or choose another port' : '';
    throw new Error(`${settings}: ${error instanceof Error ? error.message : String(error)}${hint}`, { cause: error });
  }
}

function reportIndexes(reports: readonly IndexReport[]): void {
  const made = reports.flatMap((report) => report.made.map((name) => `${report.collection}.${name}`));
  if (made.length > 0) new NestLogger('Database').log(`Indexes made: ${made.join(', ')}`);
}

async function ping(connection: Connection): Promise<void> {
  await connection.db?.command({ ping: 1 });
}

/** Nest's `close` takes the signal for its hooks; its interface does not say so. */
function closeWith(app: INestApplicationContext & { close(signal?: string): Promise<void> }, signal: string): Promise<void> {
  return app.close(signal);
}

/** A runtime that gives every caller this machine's user may not be reached from elsewhere. */
function refuseExposure(http: HttpSettings, runtimes: RuntimeRegistry): void {
  if (isLoopback(http.host) || runtimes.reports().every((report) => report.exposable)) return;
  throw new Error(
    `HOST=${http.host}: the local runtime has no sandbox here, so the server listens on loopback only. Install bubblewrap, or set HOST=127.0.0.1`,
  );
}

async function listenForMetrics(http: HttpSettings, registry: MetricsRegistry): Promise<Server | null> {
  if (http.metricsPort === null) return null;
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.setHeader('Content-Type', registry.contentType).end(text),
      () => response.writeHead(500).end(),
    );
  });
  limitConnections(server, CONNECTION_LIMITS);
  const { metricsPort, host } = http;
  const ready = new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(metricsPort, host, resolve);
  });
  await listening(`HOST=${host} METRICS_PORT=${metricsPort}`, ready);
  return server;
}

function databaseSummary(database: DatabaseHandle): string {
  switch (database.kind) {
    case 'embedded':
      return `embedded, because MONGODB_URL is not set: ${database.url}`;
    case 'joined':
      return `embedded, held by another process: ${database.url}`;
    case 'mongodb':
      return `MongoDB at ${withoutCredentials(database.url)}`;
  }
}

function withoutCredentials(url: string): string {
  return url.replace(/^(mongodb(?:\+srv)?:\/\/)[^@/]*@/, '$1').replace(/\?.*$/, '');
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function urlOf(host: string, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${isIP(name) === 6 ? `[${name}]` : name}:${port}`;
}

async function withinGrace(work: Promise<void>, seconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not stopped after ${seconds} s`)), seconds * 1000);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
