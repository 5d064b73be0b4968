import fc from 'fast-check';
import { type Alerts, isFull, nextAlerts, type UsageReading } from './resource-alert.policy';

const MINUTE = 60_000;
const CALM: UsageReading = { cpu: 0, memory: 0, storage: 0 };

/** What is told of readings, one a minute, as `resource level percent`. */
function toldOf(readings: readonly Partial<UsageReading>[], everyMs = MINUTE): string[] {
  let alerts: Alerts = {};
  return readings.flatMap((reading, at) => {
    const next = nextAlerts(alerts, { ...CALM, ...reading }, new Date(at * everyMs));
    // As the database gives it back.
    alerts = next.alerts;
    return next.told.map(({ resource, level, percent }) => `${resource} ${level} ${percent}`);
  });
}
const memory = (...percents: (number | null)[]): string[] => toldOf(percents.map((percent) => ({ memory: percent })));
const cpu = (...percents: number[]): string[] => toldOf(percents.map((percent) => ({ cpu: percent })));

describe('warnings of resources', () => {
  it.each([
    [[79.99], []],
    [[80], ['memory warning 80']],
    [[80, 94, 76, 80], ['memory warning 80']],
    [
      [80, 74.99],
      ['memory warning 80', 'memory cleared 74.99'],
    ],
    [
      [80, 74, 80],
      ['memory warning 80', 'memory cleared 74', 'memory warning 80'],
    ],
    [[96], ['memory critical 96']],
    [
      [85, 96, 91, 96],
      ['memory warning 85', 'memory critical 96'],
    ],
    [
      [96, 89],
      ['memory critical 96', 'memory warning 89'],
    ],
    [
      [96, 10],
      ['memory critical 96', 'memory cleared 10'],
    ],
    [[85, null, 85], ['memory warning 85']],
  ] as const)('of memory at %j: %j', (percents, told) => {
    expect(memory(...percents)).toEqual(told);
  });

  it.each([
    [[100], []],
    [[100, 10, 100], []],
    [[100, 100], ['cpu critical 100']],
    [[100, 85], ['cpu warning 85']],
    [
      [100, 85, 100, 100],
      ['cpu warning 85', 'cpu critical 100'],
    ],
    [
      [85, 85, 100, 94, 100, 100],
      ['cpu warning 85', 'cpu critical 100'],
    ],
    [
      [85, 85, 10],
      ['cpu warning 85', 'cpu cleared 10'],
    ],
  ] as const)('of cpu, which has to last for a minute, at %j: %j', (percents, told) => {
    expect(cpu(...percents)).toEqual(told);
  });

  it('keep resources apart', () => {
    expect(
      toldOf([
        { storage: 96, memory: 81 },
        { storage: 96, memory: 10 },
      ]),
    ).toEqual(['memory warning 81', 'storage critical 96', 'memory cleared 10']);
  });

  it('never repeat a level, warn of nothing below 80, and hold until 5 points lower, for every course of readings', () => {
    const percents = fc.array(fc.oneof(fc.constant(null), fc.float({ min: 0, max: 130, noNaN: true })), { maxLength: 60 });
    const course = fc.record({
      cpu: percents,
      memory: percents,
      storage: percents,
      everyMs: fc.integer({ min: 1_000, max: 90_000 }),
    });
    fc.assert(
      fc.property(course, ({ everyMs, ...readings }) => {
        let alerts: Alerts = {};
        const last = { cpu: 'cleared', memory: 'cleared', storage: 'cleared' };
        const high = { cpu: [] as number[], memory: [], storage: [] };
        for (let at = 0; at < 60; at += 1) {
          const usage = {
            cpu: readings.cpu[at] ?? null,
            memory: readings.memory[at] ?? null,
            storage: readings.storage[at] ?? null,
          };
          if (usage.cpu !== null && usage.cpu < 80) high.cpu.length = 0;
          else if (usage.cpu !== null) high.cpu.push(at * everyMs);
          const next = nextAlerts(alerts, usage, new Date(at * everyMs));
          alerts = next.alerts;
          for (const { resource, level, percent } of next.told) {
            expect(percent).toBe(usage[resource]);
            expect(level).not.toBe(last[resource]);
            if (level === 'cleared') expect(percent).toBeLessThan(75);
            if (level === 'warning') expect(percent).toBeGreaterThanOrEqual(last[resource] === 'critical' ? 75 : 80);
            if (level === 'critical') expect(percent).toBeGreaterThanOrEqual(95);
            const raised = level === 'critical' || last[resource] === 'cleared';
            if (raised && resource === 'cpu') expect(at * everyMs - (high.cpu[0] ?? Infinity)).toBeGreaterThanOrEqual(MINUTE);
            last[resource] = level;
          }
          for (const resource of ['memory', 'storage'] as const) {
            const percent = usage[resource];
            if (percent !== null && percent >= 95) expect(last[resource]).toBe('critical');
            if (percent !== null && percent < 75) expect(last[resource]).toBe('cleared');
          }
        }
      }),
    );
  });

  it('take a volume for full from 99 % on, until there is room again', () => {
    const course = [98, 99, 97, null, 95, 94.9, 98];
    let full = false;
    expect(course.map((percent) => (full = isFull(percent, full)))).toEqual([false, true, true, true, true, false, false]);
  });
});
