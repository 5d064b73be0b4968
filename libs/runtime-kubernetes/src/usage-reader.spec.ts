import { fromMetrics, fromSummary } from './usage-reader';
import { bytesOf, millisOf } from './quantity';

describe('readings of pods', () => {
  it('come from the summary of a kubelet', () => {
    const podRef = { name: 'env-c-1', namespace: 'dp-a-b' };
    const reading = fromSummary({
      pods: [
        {
          podRef,
          cpu: { usageNanoCores: 123_456_789 },
          memory: { workingSetBytes: 4096 },
          network: { rxBytes: 1, txBytes: 2 },
          volume: [{ usedBytes: 5 }, { usedBytes: 7, pvcRef: { name: 'env-c' } }],
        },
        { podRef: { name: 'bare', namespace: 'x' }, memory: { workingSetBytes: 1 } },
        { podRef: { name: 'new', namespace: 'x' }, memory: { workingSetBytes: 0 } },
      ],
    });
    expect([...reading]).toEqual([
      ['dp-a-b/env-c-1', { cpuMillis: 123, memoryBytes: 4096, storageBytes: 7, networkRx: 1, networkTx: 2 }],
      ['x/bare', { cpuMillis: 0, memoryBytes: 1, storageBytes: null, networkRx: null, networkTx: null }],
    ]);
  });

  it('come from metrics.k8s.io', () => {
    const usage = { cpu: '12345678n', memory: '10Mi' };
    const items = [
      { metadata: { name: 'p', namespace: 'n' }, containers: [{ name: 'sidecar' }, { name: 'environment', usage }] },
    ];
    expect([...fromMetrics({ items })]).toEqual([
      ['n/p', { cpuMillis: 12, memoryBytes: 10_485_760, storageBytes: null, networkRx: null, networkTx: null }],
    ]);
  });

  it('are quantities', () => {
    expect(['1', '250m', '1.5', '12345678n', undefined].map(millisOf)).toEqual([1000, 250, 1500, 12, 0]);
    expect(['64Mi', '1G', '1e3', '128974848', undefined].map(bytesOf)).toEqual([67_108_864, 1e9, 1000, 128_974_848, 0]);
    expect(Number.isNaN(bytesOf('lots'))).toBe(true);
  });
});
