import { PLAN_LIMITS, PLANS, roleOf } from './plan.policy';

const GI = 1024 ** 3;

describe('plans', () => {
  it('allow what the contract says', () => {
    const row = ({
      active,
      kept,
      cpuMillis,
      memoryBytes,
      storageBytes,
      autoStopMinutes,
      longestRunMinutes,
    }: (typeof PLAN_LIMITS)['free']) =>
      [active, kept, cpuMillis, memoryBytes / GI, storageBytes / GI, autoStopMinutes, longestRunMinutes].join(' ');
    expect(PLANS.map((plan) => row(PLAN_LIMITS[plan]))).toEqual([
      '1 3 500 1 5 30 720',
      '3 10 1000 2 10 120 1440',
      '10 30 2000 4 20 480 10080',
      '100 300 4000 8 50  ',
    ]);
  });

  it('make an administrator by plan admin alone', () => {
    expect(PLANS.map((plan) => roleOf(plan, 'user'))).toEqual(['user', 'user', 'user', 'admin']);
    expect(roleOf('free', 'admin')).toBe('admin');
  });
});
