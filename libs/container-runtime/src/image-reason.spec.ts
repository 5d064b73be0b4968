import { imageReason } from './image-reason';

const NOT_FOUND =
  'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nope:1": failed to resolve reference "docker.io/library/nope:1": docker.io/library/nope:1: not found';
const HUB =
  'rpc error: code = Unknown desc = failed to resolve reference "docker.io/no/pe:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed';
const AUTH =
  'rpc error: code = Unknown desc = failed to resolve reference "ghcr.io/a/b:1": failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden';
const NETWORK =
  'rpc error: code = Unknown desc = failed to do request: Head "https://registry-1.docker.io/v2/library/a/manifests/1": dial tcp: lookup registry-1.docker.io: no such host';

describe('what registries say', () => {
  it('is told apart', () => {
    expect([NOT_FOUND, HUB, AUTH, NETWORK].map(imageReason)).toEqual([
      'image_not_found',
      'image_not_found',
      'image_auth_failed',
      'image_pull_failed',
    ]);
    expect(imageReason('manifest unknown: OCI index found, but no child')).toBe('image_not_found');
    expect(imageReason('pull access denied for a/b, insufficient_scope: authorization failed')).toBe('image_auth_failed');
    expect(imageReason('error: 401 Unauthorized')).toBe('image_auth_failed');
    expect(imageReason('unexpected status code 503 Service Unavailable')).toBe('image_pull_failed');
    expect(imageReason("pull access denied for nope, repository does not exist or may require 'docker login': denied")).toBe(
      'image_not_found',
    );
    expect(imageReason('Head "http://127.0.0.1:5000/v2/a/manifests/1": no basic auth credentials')).toBe('image_auth_failed');
  });
});
