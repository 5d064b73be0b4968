import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor, UseInterceptors } from '@nestjs/common';
import { type Request, type Response } from 'express';
import { createHash } from 'node:crypto';
import { map, type Observable } from 'rxjs';

/** `ETag` on a GET's answer, and 304 without a body when the caller already has it (RFC 9110 §13.1.2). */
@Injectable()
export class EtagInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = context.switchToHttp().getRequest<Request>();
    const response = context.switchToHttp().getResponse<Response>();
    return next.handle().pipe(
      map((body: unknown) => {
        if (request.method !== 'GET' && request.method !== 'HEAD') return body;
        const digest = createHash('sha256').update(JSON.stringify(body)).digest('base64url').slice(0, 27);
        response.setHeader('ETag', `"${digest}"`);
        response.setHeader('Cache-Control', 'private, no-cache');
        response.vary('Authorization');
        if (!matches(request.headers['if-none-match'], digest)) return body;
        response.status(304);
        return undefined;
      }),
    );
  }
}

/** Weak comparison: a `W/` prefix does not count. */
function matches(header: string | undefined, digest: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === `"${digest}"`);
}

export const Etag = (): MethodDecorator & ClassDecorator => UseInterceptors(EtagInterceptor);
