import fc from 'fast-check';
import { allowanceOf, bytesQuantity, cpuQuantity } from './allowance.policy';
import { PLANS } from './plan.policy';

const NONE = { active: 0, kept: 0, largest: null };

describe('allowance', () => {
  it('tells every limit and what is still possible', () => {
    expect(allowanceOf('free', { active: 0, kept: 2, largest: null }, true)).toEqual({
      plan: 'free',
      limits: [
        { name: 'active_environments', allowed: 1, used: 0, plan: 'free' },
        { name: 'kept_environments', allowed: 3, used: 2, plan: 'free' },
        { name: 'cpu_millis', allowed: 500, used: null, plan: 'free' },
        { name: 'memory_bytes', allowed: 2 ** 30, used: null, plan: 'free' },
        { name: 'storage_bytes', allowed: 5 * 2 ** 30, used: null, plan: 'free' },
        { name: 'auto_stop_minutes', allowed: 30, used: null, plan: 'free' },
        { name: 'longest_run_minutes', allowed: 720, used: null, plan: 'free' },
      ],
      canCreate: true,
      largestResources: { cpuMillis: 500, memoryBytes: 2 ** 30, storageBytes: 5 * 2 ** 30 },
    });
  });

  it.each([
    ['no active place', { active: 1, kept: 1, largest: null }, true],
    ['no kept place', { active: 0, kept: 3, largest: null }, true],
    ['more than a lower plan allows', { active: 4, kept: 9, largest: null }, true],
    ['an address not verified', NONE, false],
  ])('%s: nothing can be created', (_, usage, mayCreate) => {
    expect(allowanceOf('free', usage, mayCreate)).toMatchObject({
      canCreate: false,
      largestResources: { cpuMillis: 0, memoryBytes: 0, storageBytes: 0 },
    });
  });

  it('offers what there is room for, never more than the plan', () => {
    const largest = { cpuMillis: 250, memoryBytes: 1.5 * 2 ** 30, storageBytes: 100 * 2 ** 30 };
    expect(allowanceOf('starter', { ...NONE, largest }, true).largestResources).toEqual({
      cpuMillis: 250,
      memoryBytes: 1.5 * 2 ** 30,
      storageBytes: 10 * 2 ** 30,
    });
    expect(allowanceOf('admin', NONE, true).limits.filter(({ allowed }) => allowed === null)).toHaveLength(2);
  });

  it('can create exactly while both counts are below their limits', () => {
    const counts = fc.nat({ max: 400 });
    fc.assert(
      fc.property(fc.constantFrom(...PLANS), counts, counts, (plan, active, kept) => {
        const { canCreate, limits } = allowanceOf(plan, { active, kept, largest: null }, true);
        const [first, second] = limits;
        return canCreate === (active < Number(first?.allowed) && kept < Number(second?.allowed));
      }),
    );
  });

  it('writes quantities as Kubernetes does', () => {
    expect([0, 1, 1023, 1024, 1.5 * 2 ** 30, 2 ** 30, 2 ** 30 + 1].map(bytesQuantity)).toEqual([
      '0',
      '1',
      '1023',
      '1Ki',
      '1536Mi',
      '1Gi',
      '1073741825',
    ]);
    expect([500, 4000].map(cpuQuantity)).toEqual(['500m', '4000m']);
  });
});
