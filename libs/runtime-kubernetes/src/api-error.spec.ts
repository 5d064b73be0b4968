import { ApiError, isTransient, toRuntimeError } from './api-error';

const quota = 'pods "env-x-1" is forbidden: exceeded quota: plan, requested: pods=1, used: pods=2, limited: pods=2';

describe('what the API answers', () => {
  it.each<[number, string, string, string | null]>([
    [0, 'connect ECONNREFUSED 10.0.0.1:6443', 'unreachable', null],
    [401, 'Unauthorized', 'unreachable', null],
    [403, quota, 'refused', 'quota_exceeded'],
    [403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', 'refused', null],
    [403, 'pods "x" is forbidden: status unknown for quota: plan, resources: limits.cpu', 'unreachable', null],
    [
      403,
      'pods "x" is forbidden: unable to create new content in namespace y because it is being terminated',
      'unreachable',
      null,
    ],
    [404, 'pods "x" not found', 'gone', null],
    [409, 'Operation cannot be fulfilled on pods "x": the object has been modified', 'unreachable', null],
    [422, 'Pod "x" is invalid: spec.containers[0].image: Required value', 'invalid', null],
    [429, 'Too many requests', 'unreachable', null],
    [500, 'etcdserver: leader changed', 'unreachable', null],
    [503, 'The server is currently unable to handle the request', 'unreachable', null],
  ])('%i %s is %s', (status, message, kind, reason) => {
    expect(toRuntimeError(new ApiError(status, message))).toMatchObject({ kind, reason, message });
  });

  it('passes by itself, or does not', () => {
    expect(isTransient(new ApiError(403, 'forbidden: status unknown for quota: plan'))).toBe(true);
    expect(isTransient(new ApiError(403, 'error looking up service account a/b: serviceaccount "b" not found'))).toBe(true);
    expect(isTransient(new ApiError(409, 'object is being deleted: namespaces "x" already exists'))).toBe(false);
    expect(isTransient(new ApiError(403, quota))).toBe(false);
    expect(isTransient(new Error('x'))).toBe(false);
  });
});
