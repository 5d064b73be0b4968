import { Admin, AnyCredential, NeedsScope, Public } from '@devpocket/access';
import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Etag } from './etag.interceptor';
import { IdPipe } from './id.pipe';
import { operationFacts, type OperationFacts, problemsOf } from './operation-facts';
import { Paged, PageQuery } from './page.dto';
import { ApiProblems } from './problem.dto';
import { RateLimit } from './rate-limit.guard';

@ApiProblems({ 400: ['name_taken'] })
@Controller('things')
class Things {
  @Get('health')
  @Public()
  @RateLimit('exempt')
  health(): void {
    return;
  }

  @Get()
  @NeedsScope('env:read')
  @Paged()
  @Etag()
  list(@Query() _page: PageQuery): void {
    return;
  }

  @Post(':id')
  @Admin()
  @ApiProblems({ 400: ['broken'], 404: ['gone'] })
  change(@Param('id', new IdPipe('Thing')) _id: string, @Param('name') _name: string, @Body() _body: object): void {
    return;
  }

  @Post('ticket')
  @AnyCredential()
  ticket(): void {
    return;
  }

  @Post('plain')
  plain(): void {
    return;
  }
}

function factsOf(name: 'health' | 'list' | 'change' | 'ticket' | 'plain', path = '/api/v1/things'): OperationFacts {
  return operationFacts(new Reflector(), Things.prototype[name], Things, path);
}

const TOKEN = ['session_revoked', 'token_expired', 'token_invalid', 'token_missing'];
const EVERY = { 400: ['name_taken'], 500: ['internal'] };
const LIMITED = { 429: ['rate_limited'], 503: ['unavailable'] };
const SENT = { 413: ['body_too_large'], 415: ['unsupported_media_type'] };
const REPEATED = { 409: ['idempotency_in_progress'], 422: ['idempotency_mismatch', 'validation_error'] };

describe('what a route can answer', () => {
  it.each([
    ['health', EVERY],
    ['list', { ...EVERY, ...LIMITED, 401: TOKEN, 403: ['scope_missing'], 422: ['validation_error'] }],
    [
      'change',
      {
        ...EVERY,
        ...LIMITED,
        ...SENT,
        ...REPEATED,
        400: ['broken', 'malformed_json', 'name_taken'],
        401: TOKEN,
        403: ['forbidden', 'scope_missing'],
        404: ['gone', 'not_found'],
      },
    ],
    [
      'plain',
      { ...EVERY, ...LIMITED, ...SENT, ...REPEATED, 400: ['malformed_json', 'name_taken'], 401: TOKEN, 403: ['forbidden'] },
    ],
  ] as const)('follows from the marks of %s', (name, problems) => {
    expect(problemsOf(factsOf(name))).toEqual(problems);
  });

  it('has no Idempotency-Key where that means nothing', () => {
    const facts = factsOf('ticket', '/api/v1/tickets');
    expect(facts.takesIdempotencyKey).toBe(false);
    expect(problemsOf(facts)).toEqual({
      ...EVERY,
      ...LIMITED,
      ...SENT,
      400: ['malformed_json', 'name_taken'],
      401: TOKEN,
    });
  });

  it('comes from interceptors and pipes too', () => {
    expect(factsOf('list')).toMatchObject({ paged: true, tagged: true, changes: false });
    const params = [
      { name: 'id', isId: true },
      { name: 'name', isId: false },
    ];
    expect(new Set(factsOf('change').params)).toEqual(new Set(params));
  });
});
