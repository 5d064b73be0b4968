import fc from 'fast-check';
import { type MetricSample } from './history.repository';
import { thin } from './insight.service';

const sample = (minute: number): MetricSample => ({
  timestamp: new Date(minute * 60_000),
  cpu: minute % 100,
  memory: null,
  storage: 10,
  networkRx: minute,
  networkTx: minute,
  connections: minute % 3,
});

describe('samples of any time', () => {
  it('are 500 points at most, in their order, and end with the last', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 168 * 60 }), (count) => {
        const samples = Array.from({ length: count }, (_, minute) => sample(minute));
        const points = thin(samples, 500);
        expect(points.length).toBeLessThanOrEqual(500);
        if (count <= 500) expect(points).toEqual(samples);
        const times = points.map(({ timestamp }) => timestamp.getTime());
        expect(times).toEqual([...times].sort((a, b) => a - b));
        expect(points.at(-1)?.networkRx).toBe(samples.at(-1)?.networkRx);
      }),
      { numRuns: 50 },
    );
  });

  it('are means where many become one, and nothing where nothing was measured', () => {
    const [point] = thin([sample(1), sample(2)], 1);
    expect(point).toEqual({ ...sample(2), cpu: 1.5, memory: null, storage: 10, connections: 2 });
  });
});
