import fc from 'fast-check';
import { failureIn, type PullMessage, PullProgress, pullQuery } from './pull-progress';
import { registryOf } from './registry-logins';

const statuses = [
  'Pulling fs layer',
  'Waiting',
  'Downloading',
  'Verifying Checksum',
  'Download complete',
  'Extracting',
  'Pull complete',
];

describe('a pull', () => {
  it('is as far as its layers are', () => {
    const progress = new PullProgress();
    const take = (...messages: PullMessage[]): number => {
      for (const message of messages) progress.take(message);
      return Math.round(progress.share * 100);
    };
    expect(take({ id: '1', status: 'Pulling from library/python' })).toBe(0);
    expect(take({ id: 'b', status: 'Already exists' }, { id: 'a', status: 'Pulling fs layer' })).toBe(0);
    expect(take({ id: 'a', status: 'Downloading', progressDetail: { current: 50, total: 100 } })).toBe(40);
    expect(take({ id: 'a', status: 'Extracting', progressDetail: { current: 50, total: 100 } })).toBe(90);
    expect(take({ id: 'a', status: 'Pull complete' }, { status: 'Digest: sha256:…' })).toBe(100);
  });

  it('never goes back', () => {
    const message = fc.record({
      id: fc.constantFrom('a', 'b', 'c'),
      status: fc.constantFrom(...statuses),
      progressDetail: fc.record({ current: fc.nat(200), total: fc.nat(100) }),
    });
    fc.assert(
      fc.property(fc.array(message), (messages) => {
        const progress = new PullProgress();
        const shares = messages.map((one) => {
          progress.take(one);
          return progress.share;
        });
        expect(shares).toEqual([...shares].sort((a, b) => a - b));
        expect(Math.max(0, ...shares)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('asks for one image, and says what is wrong', () => {
    expect(pullQuery('a/b')).toEqual({ fromImage: 'a/b', tag: 'latest' });
    expect(pullQuery('localhost:5000/b')).toEqual({ fromImage: 'localhost:5000/b', tag: 'latest' });
    expect(pullQuery('a/b:1')).toEqual({ fromImage: 'a/b:1' });
    expect(pullQuery('a@sha256:1')).toEqual({ fromImage: 'a@sha256:1' });
    expect(failureIn({ error: 'short', errorDetail: { message: 'long' } })).toBe('long');
    expect(failureIn({ status: 'Downloading' })).toBeNull();
  });

  it.each([
    ['python', 'docker.io'],
    ['library/python:3', 'docker.io'],
    ['ghcr.io/a/b', 'ghcr.io'],
    ['localhost/a', 'localhost'],
    ['127.0.0.1:5000/a:1', '127.0.0.1:5000'],
  ])('of %s asks %s', (image, registry) => expect(registryOf(image)).toBe(registry));
});
