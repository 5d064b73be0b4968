import { AppSettings, RateLimitSettings } from '@devpocket/config';
import { DomainError } from '@devpocket/kernel';
import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import { type Request, type Response } from 'express';
import { EdgeLimiter } from './edge-limiter';
import { type Problem, toDomainError, toProblem } from './problem';
import { contextOf } from './request-context';
import { allowedMethods } from './route-table';

/**
 * The one place where an error becomes an answer. Whatever fails before a rate limit has counted it (an unknown route, an
 * unreadable body, a bad token, a refusal) is counted here, for the user who is known or else the address.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  constructor(
    private readonly app: AppSettings,
    private readonly rateLimit: RateLimitSettings,
    private readonly limiter: EdgeLimiter,
  ) {}

  async catch(thrown: unknown, host: ArgumentsHost): Promise<void> {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    let error = toDomainError(thrown, this.app.debug);
    if (!contextOf(request).counted && this.rateLimit.enabled)
      error = (await this.limiter.countFailure(request, response)) ?? error;
    if (error.code === 'not_found' && thrown !== error) error = this.methodNotAllowed(request, response) ?? error;
    if (error.kind === 'internal')
      this.logger.error({ err: error.cause ?? error, req_id: contextOf(request).requestId }, 'Unexpected failure');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    sendProblem(response, toProblem(error, contextOf(request).requestId));
  }

  private methodNotAllowed(request: Request, response: Response): DomainError | null {
    const methods = allowedMethods(request);
    if (methods.length === 0) return null;
    response.setHeader('Allow', methods.join(', '));
    return new DomainError('not_found', 'method_not_allowed', `${request.method} is not allowed here`);
  }
}

export function sendProblem(response: Response, problem: Problem): void {
  if (problem.status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  if (problem.retry_after !== undefined) response.setHeader('Retry-After', String(problem.retry_after));
  response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}
