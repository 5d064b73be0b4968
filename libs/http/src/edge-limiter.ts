import { type Principal } from '@devpocket/access';
import { HttpSettings, RateLimitSettings } from '@devpocket/config';
import { DomainError } from '@devpocket/kernel';
import { Counters, type Hit } from '@devpocket/shared-state';
import { Injectable } from '@nestjs/common';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { addressKey, clientAddressReader } from './client-address';
import { contextOf } from './request-context';

export const MINUTE_MS = 60_000;

/** Knows for whom a request counts, counts what no route did, and how an exceeded limit is told. */
@Injectable()
export class EdgeLimiter {
  /** The caller's address as `X-Forwarded-For` and the trusted proxies tell it. */
  readonly addressOf: (request: IncomingMessage) => string;

  constructor(
    http: HttpSettings,
    private readonly limits: RateLimitSettings,
    private readonly counters: Counters,
  ) {
    this.addressOf = clientAddressReader(http.trustedProxies);
  }

  addressKeyOf(request: IncomingMessage): string {
    return addressKey(this.addressOf(request));
  }

  /** For whom a request counts: the user, where one is known. */
  keyOf(request: IncomingMessage & { readonly principal?: Principal }): string {
    return request.principal ? `user:${request.principal.userId}` : `address:${this.addressKeyOf(request)}`;
  }

  /** Counts a request that failed before any limit saw it; the error to answer when its caller is over the limit. */
  async countFailure(request: IncomingMessage, response: ServerResponse): Promise<DomainError | null> {
    contextOf(request).counted = true;
    const hit = await this.counters.hit(this.keyOf(request), this.limits.perMinute, MINUTE_MS);
    tellLimit(response, hit);
    return hit.allowed ? null : rateLimited(hit);
  }
}

export function rateLimited(hit: Hit): DomainError {
  const retryAfter = seconds(hit.resetMs);
  return new DomainError(
    'rate_limited',
    'rate_limited',
    `Too many requests: at most ${hit.limit} a minute. Try again in ${retryAfter} s`,
    { retryAfter },
  );
}

/** Writes the headers of the tightest limit: the one with the least left. */
export function tellLimit(response: ServerResponse, hit: Hit): void {
  const told = response.getHeader('X-RateLimit-Remaining');
  if (told !== undefined && Number(told) <= hit.remaining) return;
  response.setHeader('X-RateLimit-Limit', String(hit.limit));
  response.setHeader('X-RateLimit-Remaining', String(hit.remaining));
  response.setHeader('X-RateLimit-Reset', String(seconds(hit.resetMs)));
}

function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
