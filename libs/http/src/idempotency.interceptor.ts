import { type Principal } from '@devpocket/access';
import { AppSettings, AuthSettings } from '@devpocket/config';
import { Clock, DomainError } from '@devpocket/kernel';
import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import { type Request, type Response } from 'express';
import { createHmac, randomUUID } from 'node:crypto';
import { from, lastValueFrom, type Observable, of } from 'rxjs';
import { setIdempotencyScope, type StoredAnswer } from './idempotency';
import { IdempotencyRepository } from './idempotency.repository';
import { toDomainError, toProblem } from './problem';
import { contextOf } from './request-context';

const VISIBLE_ASCII = /^[\x21-\x7e]{1,128}$/;
const EXEMPT = /^\/api\/v1\/(auth\/|tickets\/?$|users\/me\/password\/?$|environments\/[^/]+\/terminal-ticket\/?$)/i;
/** Does `Idempotency-Key` mean nothing to a POST of this path? */
export const isExemptFromIdempotency = (path: string): boolean => EXEMPT.test(path);
const WAIT_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** Answers a repeated POST with the first answer (contract §1, `Idempotency-Key`). */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  constructor(
    private readonly repository: IdempotencyRepository,
    private readonly clock: Clock,
    private readonly auth: AuthSettings,
    private readonly app: AppSettings,
  ) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const request = context.switchToHttp().getRequest<Request & { principal?: Principal }>();
    const key = request.headers['idempotency-key'];
    if (request.method !== 'POST' || key === undefined || !request.principal || isExemptFromIdempotency(request.path))
      return next.handle();
    if (typeof key !== 'string' || !VISIBLE_ASCII.test(key)) {
      throw DomainError.invalid({
        field: 'Idempotency-Key',
        code: 'invalid_idempotency_key',
        message: 'must be 1–128 visible ASCII characters',
      });
    }
    const path = request.path.replace(/\/$/, '');
    const scope = this.hmac('scope', [request.principal.userId, request.method, path, key]);
    const bodyHash = this.hmac('body', [JSON.stringify(request.body ?? null)]);
    const holder = randomUUID();
    const response = context.switchToHttp().getResponse<Response>();
    const stored = await this.claim(scope, bodyHash, holder);
    if (stored) {
      return of(replay(response, stored));
    }
    setIdempotencyScope(request, scope);
    return from(this.run(next, response, scope, holder, contextOf(request).requestId));
  }

  /** The stored answer, or null when this request is to run. */
  private async claim(scope: string, bodyHash: string, holder: string): Promise<StoredAnswer | null> {
    const until = this.clock.millis() + WAIT_MS;
    for (;;) {
      const claim = await this.repository.claim(scope, bodyHash, holder);
      if (claim.outcome === 'ours') return null;
      if (claim.outcome === 'answered') return claim.answer;
      if (claim.outcome === 'mismatch') {
        throw new DomainError('invalid', 'idempotency_mismatch', 'This Idempotency-Key was used with another body');
      }
      if (this.clock.millis() >= until) {
        throw new DomainError(
          'conflict',
          'idempotency_in_progress',
          'The first request with this Idempotency-Key is still running',
          { retryAfter: 2 },
        );
      }
      await this.clock.wait(LOOK_EVERY_MS);
    }
  }

  private async run(next: CallHandler, response: Response, scope: string, holder: string, requestId: string): Promise<unknown> {
    try {
      const body: unknown = await lastValueFrom(next.handle(), { defaultValue: undefined });
      const text = body === undefined ? '' : JSON.stringify(body);
      await this.repository.keep(scope, holder, {
        status: response.statusCode,
        contentType: 'application/json; charset=utf-8',
        body: text,
        headers: keptHeaders(response),
      });
      return body;
    } catch (thrown) {
      const problem = toProblem(toDomainError(thrown, this.app.debug), requestId);
      if (problem.status === 401 || problem.status === 429 || problem.status >= 500) await this.repository.giveUp(scope, holder);
      else
        await this.repository.keep(scope, holder, {
          status: problem.status,
          contentType: 'application/problem+json; charset=utf-8',
          body: JSON.stringify(problem),
          headers: {},
        });
      throw thrown;
    }
  }

  private hmac(use: string, parts: readonly string[]): string {
    return createHmac('sha256', this.auth.secretKey)
      .update(JSON.stringify([`idempotency-${use}`, ...parts]))
      .digest('base64url');
  }
}

function keptHeaders(response: Response): Record<string, string> {
  const location = response.getHeader('Location');
  return typeof location === 'string' ? { Location: location } : {};
}

/** @returns the body */
function replay(response: Response, answer: StoredAnswer): unknown {
  response.status(answer.status).setHeader('Idempotency-Replayed', 'true');
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value);
  if (answer.body === '') return undefined;
  response.setHeader('Content-Type', answer.contentType);
  return JSON.parse(answer.body) as unknown;
}
