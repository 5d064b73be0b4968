import { decodeCursor, encodeCursor, type Page, type PageRequest } from '@devpocket/kernel';
import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor, UseInterceptors } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { type Request, type Response } from 'express';
import { map, type Observable } from 'rxjs';

/** A query's whole number: digits only, else it stays what it was and the rules refuse it. */
export const ToInteger = (): PropertyDecorator =>
  Transform(({ value }: { value: unknown }) => (typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : value));

/** `?limit=&cursor=` of every list. */
export class PageQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 100, default: 50 })
  @IsOptional()
  @ToInteger()
  @Min(1, { message: 'limit must be a whole number from 1 to 100' })
  @Max(100, { message: 'limit must be a whole number from 1 to 100' })
  @IsInt({ message: 'limit must be a whole number from 1 to 100' })
  limit?: number;

  @ApiPropertyOptional({ type: 'string', maxLength: 128, description: 'Where the page before ended; from its `Link` header' })
  @IsOptional()
  @MaxLength(128)
  @IsString()
  cursor?: string;

  toRequest(): PageRequest {
    return { limit: this.limit ?? 50, after: this.cursor === undefined ? null : decodeCursor(this.cursor) };
  }
}

/** Maps the items of a page, for controllers: domain → DTO. */
export function mapPage<T, U>(page: Page<T>, toDto: (item: T) => U): Page<U> {
  return { ...page, items: page.items.map(toDto) };
}

/** Answers a `Page` as a bare array, the next page in `Link`, the total in `X-Total-Count`. */
@Injectable()
export class PageInterceptor implements NestInterceptor<Page<unknown>, readonly unknown[]> {
  intercept(context: ExecutionContext, next: CallHandler<Page<unknown>>): Observable<readonly unknown[]> {
    const request = context.switchToHttp().getRequest<Request>();
    const response = context.switchToHttp().getResponse<Response>();
    return next.handle().pipe(
      map((page) => {
        response.setHeader('X-Total-Count', String(page.total));
        if (page.next) {
          const query = new URLSearchParams(/\?(.*)$/.exec(request.originalUrl)?.[1]);
          query.set('cursor', encodeCursor(page.next));
          response.setHeader('Link', `<${request.baseUrl}${request.path}?${query.toString()}>; rel="next"`);
        }
        return page.items;
      }),
    );
  }
}

/** Marks a route that returns a `Page`. */
export const Paged = (): MethodDecorator => UseInterceptors(PageInterceptor);
