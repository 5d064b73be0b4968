import { LogSettings } from '@devpocket/config';
import { contextOf } from '@devpocket/http';
import { type DynamicModule } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { type IncomingMessage, type ServerResponse } from 'node:http';

/** Query members that are credentials; they must not reach a log. */
const SECRETS = new Set(['ticket', 'token', 'code', 'state', 'access_token']);

/** Read as the server reads it: a name may be percent-encoded. Every URL comes by here, so it takes time by its length alone. */
export function withoutSecrets(url: string): string {
  const start = url.indexOf('?') + 1;
  if (start === 0) return url;
  return url.slice(0, start) + url.slice(start).split('&').map(withoutSecret).join('&');
}

function withoutSecret(member: string): string {
  const end = member.indexOf('=');
  if (end < 0) return member;
  const [name = ''] = new URLSearchParams(member.slice(0, end + 1)).keys();
  return SECRETS.has(name.toLowerCase()) ? `${name}=[redacted]` : member;
}

/** That a part is down or not configured is no fault of this server: what is, is told at the part. */
export function levelOf(status: number, error?: Error): 'info' | 'warn' | 'error' {
  if (status === 503) return 'warn';
  return error || status >= 500 ? 'error' : 'info';
}

const QUIET = new Set(['/health', '/health/ready', '/health/live', '/metrics', '/']);

/** One line a request with its id, method, path without secrets, status and time; no bodies, no headers. */
export function loggingModule(): DynamicModule {
  return LoggerModule.forRootAsync({
    inject: [LogSettings],
    useFactory: (settings: LogSettings) => ({
      pinoHttp: {
        level: settings.level,
        ...(settings.format === 'pretty'
          ? {
              transport: {
                target: 'pino-pretty',
                options: {
                  singleLine: true,
                  ignore: 'pid,hostname,req,res,responseTime,context',
                  messageFormat: '{if context}[{context}] {end}{msg}',
                },
              },
            }
          : {}),
        genReqId: (request: IncomingMessage) => contextOf(request).requestId,
        redact: {
          paths: [
            'password',
            '*.password',
            'token',
            '*.token',
            'refresh_token',
            '*.refresh_token',
            'authorization',
            '*.authorization',
          ],
          censor: '[redacted]',
        },
        quietReqLogger: true,
        autoLogging: { ignore: (request: IncomingMessage) => QUIET.has((request.url ?? '').split('?')[0] ?? '') },
        customAttributeKeys: { reqId: 'request_id', responseTime: 'duration_ms' },
        customLogLevel: (_request: IncomingMessage, response: ServerResponse, error?: Error) =>
          levelOf(response.statusCode, error),
        customSuccessMessage: (request: IncomingMessage, response: ServerResponse, ms: number) =>
          `${request.method ?? ''} ${pathOf(request)} ${response.statusCode} ${Math.round(ms)} ms`,
        customErrorMessage: (request: IncomingMessage, response: ServerResponse) =>
          `${request.method ?? ''} ${pathOf(request)} ${response.statusCode}`,
        serializers: {
          req: (request: { method: string; url: string }) => ({ method: request.method, url: withoutSecrets(request.url) }),
          res: (response: { statusCode: number }) => ({ status: response.statusCode }),
        },
      },
    }),
  });
}

function pathOf(request: IncomingMessage & { originalUrl?: string }): string {
  return withoutSecrets(request.originalUrl ?? request.url ?? '');
}
