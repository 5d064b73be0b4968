import { type Region } from '@devpocket/kernel';
import fc from 'fast-check';
import { type Cluster, DEFAULT_OPTIONS } from './cluster';
import { type Candidate, rank, requestsOf, type Wish } from './placement.policy';

const GIB = 2 ** 30;

interface Plain {
  readonly id: string;
  readonly region?: Region;
  readonly isDefault?: boolean;
  readonly environments?: number;
  readonly max?: number;
  readonly activeGib?: number;
  readonly capacityGib?: number | null;
  readonly othersGib?: number;
  readonly status?: Cluster['status'];
  readonly reachable?: boolean | null;
}

function candidate({
  id,
  region = 'us-east',
  isDefault = false,
  environments = 0,
  max = 10,
  activeGib = 0,
  capacityGib = null,
  othersGib = 0,
  status = 'active',
  reachable = null,
}: Plain): Candidate {
  const capacity =
    capacityGib === null
      ? null
      : {
          allocatable: { cpuMillis: 1_000_000, memoryBytes: capacityGib * GIB },
          others: { cpuMillis: 0, memoryBytes: othersGib * GIB },
        };
  const cluster: Cluster = {
    id,
    name: id,
    region,
    description: null,
    endpoint: '',
    ownEndpoint: null,
    status,
    maxEnvironments: max,
    options: DEFAULT_OPTIONS,
    capacity,
    reachable,
    revision: 1,
    connectionRevision: 1,
    createdAt: new Date(0),
    updatedAt: new Date(0),
  };
  return { cluster, isDefault, environments, activeLimits: { cpuMillis: 0, memoryBytes: activeGib * GIB } };
}

const wish = (more: Partial<Wish> = {}): Wish => ({
  limits: { cpuMillis: 1_000, memoryBytes: 4 * GIB },
  region: null,
  preferredRegion: null,
  ...more,
});
const ranked = (plain: readonly Plain[], more: Partial<Wish> = {}): readonly string[] =>
  rank(plain.map(candidate), wish(more)).map(({ cluster }) => cluster.id);

describe('an environment goes', () => {
  it.each<[string, readonly Plain[], Partial<Wish>, readonly string[]]>([
    ['to the default before the least loaded', [{ id: 'a' }, { id: 'b', isDefault: true, environments: 5 }], {}, ['b', 'a']],
    [
      'to the least loaded by count',
      [
        { id: 'a', environments: 2 },
        { id: 'b', environments: 1 },
      ],
      {},
      ['b', 'a'],
    ],
    [
      'to the least loaded by share, not by count',
      [
        { id: 'a', environments: 5, max: 100 },
        { id: 'b', environments: 4, max: 10 },
      ],
      {},
      ['a', 'b'],
    ],
    ['nowhere when the only one is full', [{ id: 'a', environments: 10 }], {}, []],
    ['past a full default', [{ id: 'a', isDefault: true, environments: 10 }, { id: 'b' }], {}, ['b']],
    [
      'past one that takes none',
      [
        { id: 'a', status: 'maintenance' },
        { id: 'b', status: 'inactive' },
      ],
      {},
      [],
    ],
    ['to the region that was asked for, only', [{ id: 'a' }, { id: 'b', region: 'us-west' }], { region: 'us-west' }, ['b']],
    [
      'to the preferred region before a default elsewhere',
      [
        { id: 'a', isDefault: true },
        { id: 'b', region: 'us-west' },
      ],
      { preferredRegion: 'us-west' },
      ['b', 'a'],
    ],
    // 16 GiB of limits request 4, one more of 4 GiB requests 1: 5 of 5.
    ['where its requests just fit', [{ id: 'a', capacityGib: 5, activeGib: 16 }], {}, ['a']],
    ['not where others leave no room', [{ id: 'a', capacityGib: 5, activeGib: 16, othersGib: 0.001 }], {}, []],
    ['not to a default whose resources are spent', [{ id: 'a', isDefault: true, capacityGib: 0.5 }, { id: 'b' }], {}, ['b']],
    ['not where no node takes pods', [{ id: 'a', capacityGib: 0 }], {}, []],
    ['last to one that does not answer', [{ id: 'a', isDefault: true, reachable: false }, { id: 'b' }], {}, ['b', 'a']],
  ])('%s', (_what, plain, more, expected) => {
    expect(ranked(plain, more)).toEqual(expected);
  });

  it('only where it may, in an order that does not depend on theirs', () => {
    const plain = fc.uniqueArray(
      fc.record({
        id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        region: fc.constantFrom<Region>('us-east', 'us-west'),
        isDefault: fc.boolean(),
        environments: fc.nat(11),
        status: fc.constantFrom<Cluster['status']>('active', 'inactive', 'maintenance'),
        reachable: fc.constantFrom(true, false, null),
        capacityGib: fc.constantFrom(null, 1, 2, 4),
        activeGib: fc.nat(16),
      }),
      { selector: ({ id }) => id },
    );
    fc.assert(
      fc.property(plain, fc.constantFrom<Region | null>(null, 'us-east'), (all, region) => {
        const found = rank(all.map(candidate), wish({ region }));
        for (const { cluster, environments, activeLimits } of found) {
          expect(cluster.status).toBe('active');
          expect(region === null || cluster.region === region).toBe(true);
          expect(environments).toBeLessThan(cluster.maxEnvironments);
          if (cluster.capacity) {
            const requested = requestsOf(activeLimits, cluster.options).memoryBytes + GIB;
            expect(requested).toBeLessThanOrEqual(cluster.capacity.allocatable.memoryBytes);
          }
        }
        const loads = (list: readonly Candidate[]): unknown =>
          list.map(({ cluster, isDefault, environments }) => [cluster.reachable === false, isDefault, environments]);
        if (all.every(({ capacityGib }) => capacityGib === null))
          expect(loads(rank([...all].reverse().map(candidate), wish({ region })))).toEqual(loads(found));
      }),
    );
  });
});
