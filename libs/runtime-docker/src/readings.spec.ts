import { addressOf } from './engine-address';
import { readingOf, rateOf } from './usage-reader';
import { overfull } from './storage.policy';
import { EngineError, toRuntimeError } from './engine-error';
import { troubleOf } from './start-trouble';

describe('the address of an engine', () => {
  it.each([
    ['unix:///var/run/docker.sock', false, { kind: 'unix', path: '/var/run/docker.sock' }],
    ['tcp://engine', false, { kind: 'tcp', host: 'engine', port: 2375, tls: false }],
    ['tcp://engine', true, { kind: 'tcp', host: 'engine', port: 2376, tls: true }],
    ['tcp://[::1]:99', false, { kind: 'tcp', host: '::1', port: 99, tls: false }],
    ['https://engine:1', false, { kind: 'tcp', host: 'engine', port: 1, tls: true }],
  ])('%s (TLS: %s)', (host, tlsVerify, address) => expect(addressOf({ host, tlsVerify })).toEqual(address));
});

describe('usage', () => {
  it('leaves out the cache of either version of cgroups, and takes the network by either name', () => {
    const cpu_stats = { cpu_usage: { total_usage: 5 } };
    const v1 = {
      cpu_stats,
      memory_stats: { usage: 10, stats: { total_inactive_file: 4 } },
      networks: { a: { rx_bytes: 1, tx_bytes: 2 } },
    };
    expect(readingOf(v1, 7)).toEqual({ cpuNanos: 5, atMs: 7, memoryBytes: 6, networkRx: 1, networkTx: 2 });
    const v2 = {
      cpu_stats,
      memory_stats: { usage: 10, stats: { inactive_file: 3 } },
      network: { a: { rx_bytes: 1 }, b: { rx_bytes: 1 } },
    };
    expect(readingOf(v2, 7)).toMatchObject({ memoryBytes: 7, networkRx: 2, networkTx: 0 });
    expect(readingOf({}, 7)).toMatchObject({ memoryBytes: 0, networkRx: null });
  });

  it('of a processor is a rate between two readings', () => {
    expect(rateOf({ cpuNanos: 0, atMs: 0 }, { cpuNanos: 5e8, atMs: 1_000 })).toBe(500);
    expect(rateOf({ cpuNanos: 5, atMs: 9 }, { cpuNanos: 9, atMs: 9 })).toBe(0);
  });

  it('of storage ends what fills its volume, and gives time to who finds it full', () => {
    const full = { bytes: 120, limit: 100, first: 0, ageMs: 0 };
    expect(overfull({ ...full, bytes: 100 })).toBeNull();
    expect(overfull(full)).toMatchObject({ reason: 'volume_full' });
    expect(overfull({ ...full, bytes: 105 })).toBeNull();
    expect(overfull({ ...full, first: 120 })).toBeNull();
    expect(overfull({ ...full, first: 120, ageMs: 600_000 })).toMatchObject({ reason: 'volume_full' });
  });
});

describe('what an engine refuses', () => {
  it.each([
    [0, 'socket hang up', 'unreachable'],
    [404, 'no such container', 'gone'],
    [400, 'bad parameter', 'invalid'],
    [403, 'not by this proxy', 'refused'],
    [409, 'is not running', 'refused'],
    [500, 'oh', 'unreachable'],
  ])('with %d is %s', (status, message, kind) =>
    expect(toRuntimeError(new EngineError(status, message))).toMatchObject({ kind, message }),
  );

  it.each([
    [0, 'socket hang up', null],
    [404, 'No such image: a:1', null],
    [409, 'Conflict. The name is in use', null],
    [500, 'could not find an available, non-overlapping IPv4 address pool among the defaults', 'unschedulable'],
    [500, 'mkdir /var/lib/x: no space left on device', 'volume_failed'],
    [400, 'OCI runtime create failed: exec: "/bin/sh": stat /bin/sh: no such file or directory', 'crash_loop'],
    [500, 'something else', 'internal'],
  ])('of a start with %d %s', (status, message, reason) =>
    expect(troubleOf(new EngineError(status, message))?.reason ?? null).toBe(reason),
  );
});
