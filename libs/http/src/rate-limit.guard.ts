import { type Principal } from '@devpocket/access';
import { AuthSettings, RateLimitSettings } from '@devpocket/config';
import { nameKey } from '@devpocket/kernel';
import { Counters, type Hit } from '@devpocket/shared-state';
import { type ExecutionContext, Inject, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  getOptionsToken,
  ThrottlerGuard,
  type ThrottlerModuleOptions,
  type ThrottlerRequest,
  ThrottlerStorage,
} from '@nestjs/throttler';
import { type Request, type Response } from 'express';
import { createHmac } from 'node:crypto';
import { EdgeLimiter, rateLimited, tellLimit } from './edge-limiter';
import { contextOf } from './request-context';

/** The throttler's counts kept where every replica sees them. */
export class CountersStorage implements ThrottlerStorage {
  constructor(private readonly counters: Counters) {}

  async increment(key: string, ttl: number, limit: number): ReturnType<ThrottlerStorage['increment']> {
    const { allowed, remaining, resetMs } = await this.counters.hit(key, limit, ttl);
    // Beyond the limit the exact count is nobody's business: one more than the limit says it.
    const totalHits = allowed ? limit - remaining : limit + 1;
    return { totalHits, timeToExpire: resetMs / 1000, isBlocked: !allowed, timeToBlockExpire: allowed ? 0 : resetMs / 1000 };
  }
}

const KEY = 'http:rate-limit';
type Limit = 'auth' | 'exempt';

/** `auth`: the tight limit per address and per account on top of the general one. `exempt`: only failures count (health, metrics). */
export const RateLimit = (limit: Limit): MethodDecorator & ClassDecorator => SetMetadata(KEY, limit);

export function isExemptFromLimits(reflector: Reflector, ...targets: Parameters<Reflector['get']>[1][]): boolean {
  return reflector.getAllAndOverride<Limit | undefined>(KEY, targets) === 'exempt';
}

/** By what is called, however its path was written. */
function nameOf(context: ExecutionContext): string {
  return `${context.getClass().name}.${context.getHandler().name}`;
}

/** Body members that name the account that a sign-in or registration is about. */
const ACCOUNT_FIELDS = ['username_or_email', 'email', 'username'];

/**
 * Runs after the access guard: 100 a minute per user, per address without one; the auth routes also 5 per address and per
 * account named. The answer tells the tightest of the limits that counted it.
 */
@Injectable()
export class RateLimitGuard extends ThrottlerGuard {
  constructor(
    @Inject(getOptionsToken()) options: ThrottlerModuleOptions,
    @Inject(ThrottlerStorage) storage: ThrottlerStorage,
    reflector: Reflector,
    private readonly settings: RateLimitSettings,
    private readonly auth: AuthSettings,
    private readonly limiter: EdgeLimiter,
  ) {
    super(options, storage, reflector);
  }

  protected override shouldSkip(context: ExecutionContext): Promise<boolean> {
    return Promise.resolve(!this.settings.enabled || this.limitOf(context) === 'exempt');
  }

  protected override async handleRequest(request: ThrottlerRequest): Promise<boolean> {
    const http = request.context.switchToHttp();
    const req = http.getRequest<Request & { principal?: Principal }>();
    const isAuth = request.throttler.name === 'auth';
    if (isAuth && this.limitOf(request.context) !== 'auth') return true;
    contextOf(req).counted = true;
    const keys = isAuth
      ? [this.limiter.addressKeyOf(req), ...this.accounts(req)].map((whose) => `auth:${nameOf(request.context)}:${whose}`)
      : [this.limiter.keyOf(req)];
    const hits: Hit[] = [];
    for (const key of keys) hits.push(await this.hit(key, request));
    for (const hit of hits) tellLimit(http.getResponse<Response>(), hit);
    const over = hits.filter((hit) => !hit.allowed).sort((a, b) => b.resetMs - a.resetMs)[0];
    if (over) throw rateLimited(over);
    return true;
  }

  private async hit(key: string, { limit, ttl, blockDuration, throttler }: ThrottlerRequest): Promise<Hit> {
    const { totalHits, timeToExpire } = await this.storageService.increment(
      key,
      ttl,
      limit,
      blockDuration,
      throttler.name ?? 'default',
    );
    return { allowed: totalHits <= limit, limit, remaining: Math.max(0, limit - totalHits), resetMs: timeToExpire * 1000 };
  }

  private limitOf(context: ExecutionContext): Limit | undefined {
    return this.reflector.getAllAndOverride<Limit | undefined>(KEY, [context.getHandler(), context.getClass()]);
  }

  /** The accounts that a body names, by the key that finds them, as an HMAC: a counter's key is no place for an address. */
  private accounts(request: Request): string[] {
    const body: unknown = request.body;
    if (typeof body !== 'object' || body === null) return [];
    return Object.entries(body)
      .filter((entry): entry is [string, string] => ACCOUNT_FIELDS.includes(entry[0]) && typeof entry[1] === 'string')
      .map(([, name]) =>
        createHmac('sha256', this.auth.secretKey)
          .update(`rate-limit:${nameKey(name)}`)
          .digest('base64url'),
      );
  }
}
