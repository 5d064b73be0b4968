import { DomainError } from '@devpocket/kernel';
import fc from 'fast-check';
import { type IncomingMessage } from 'node:http';
import { addressKey, clientAddressReader } from './client-address';
import { toDomainError, toProblem } from './problem';
import { requestIdOf } from './request-context';

describe('the address that counts', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['unknown', 'unknown'],
  ])('of %s is %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });

  const request = (peer: string, forwarded?: string): IncomingMessage =>
    ({
      socket: { remoteAddress: peer },
      headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    }) as unknown as IncomingMessage;

  it('is the peer unless the peer is a trusted proxy', () => {
    expect(clientAddressReader([])(request('198.51.100.1', '203.0.113.7'))).toBe('198.51.100.1');
    expect(clientAddressReader(['10.0.0.0/8'])(request('198.51.100.1', '203.0.113.7'))).toBe('198.51.100.1');
    expect(clientAddressReader(['10.0.0.0/8'])(request('10.1.2.3', '203.0.113.7'))).toBe('203.0.113.7');
  });

  it('stops at the first hop that is not trusted: what a client puts before it does not count', () => {
    expect(clientAddressReader(['10.0.0.0/8'])(request('10.1.2.3', '1.1.1.1, 203.0.113.7, 10.9.9.9'))).toBe('203.0.113.7');
  });
});

describe('request ids', () => {
  it('are the caller’s when well-formed', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/), (id) => {
        expect(requestIdOf(id)).toBe(id);
      }),
    );
  });

  it.each([undefined, '', 'a b', 'x'.repeat(129), 'ä', 'a\nb'])('are new for %p', (header) => {
    expect(requestIdOf(header)).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('a problem', () => {
  it('has always the same shape', () => {
    const error = new DomainError('invalid_state', 'invalid_state', 'Not now', {
      extra: { current_status: 'creating', allowed: ['running'] },
    });
    expect(toProblem(error, 'r1')).toEqual({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      detail: 'Not now',
      code: 'invalid_state',
      request_id: 'r1',
      current_status: 'creating',
      allowed: ['running'],
    });
  });

  it('cannot have its members overwritten by extras', () => {
    expect(
      toProblem(new DomainError('not_found', 'not_found', 'No', { extra: { status: 200, code: 'fine' } }), 'r'),
    ).toMatchObject({ status: 404, code: 'not_found' });
  });

  it('tells nothing of the inside unless debugging', () => {
    const inside = new Error('password=hunter2');
    expect(toProblem(toDomainError(inside, false), 'r')).toMatchObject({
      status: 500,
      code: 'internal',
      detail: 'Something went wrong on our side',
    });
    expect(toProblem(toDomainError(inside, true), 'r').detail).toContain('hunter2');
  });

  it('of a database that is down asks to come back', () => {
    const down = Object.assign(new Error('connect ECONNREFUSED'), { name: 'MongoServerSelectionError' });
    expect(toProblem(toDomainError(down, false), 'r')).toMatchObject({ status: 503, code: 'unavailable', retry_after: 5 });
  });

  it.each([
    ['a server that shuts down', 'MongoServerError', 91, 503],
    ['a primary that steps down', 'MongoServerError', 10_107, 503],
    ['a write that too few have heard of', 'MongoWriteConcernError', 64, 503],
    ['a command that is wrong', 'MongoServerError', 9, 500],
    ['something else with such a code', 'Error', 91, 500],
  ])('of %s is %s %i: %i', (_what, name, code, status) => {
    const error = Object.assign(new Error('said the server'), { name, code });
    expect(toProblem(toDomainError(error, false), 'r').status).toBe(status);
  });

  it('of a static file asked for in parts that it does not have is the caller’s', () => {
    const range = Object.assign(new Error('Range Not Satisfiable'), { status: 416, expose: true });
    expect(toProblem(toDomainError(range, false), 'r')).toMatchObject({ status: 400, code: 'malformed_request' });
  });

  it.each([
    ['entity.parse.failed', 400, 400, 'malformed_json'],
    ['entity.too.large', 413, 413, 'body_too_large'],
    ['charset.unsupported', 415, 415, 'unsupported_media_type'],
  ])('of a body that failed by %s is %i', (type, status, expected, code) => {
    const error = Object.assign(new Error('body'), { type, status, limit: 100 });
    expect(toProblem(toDomainError(error, false), 'r')).toMatchObject({ status: expected, code });
  });
});
