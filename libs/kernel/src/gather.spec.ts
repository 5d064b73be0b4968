import { Gather } from './gather';

describe('gathered output', () => {
  it('goes at once while it is little, then by the piece or every 4 ms', () => {
    const gather = new Gather();
    expect(gather.wait(1, 1_000)).toBe(0);
    gather.sent(16_383, 1_000);
    expect(gather.wait(1, 1_001)).toBe(0);
    gather.sent(1, 1_001);
    expect(gather.wait(1, 1_001)).toBe(3);
    expect(gather.wait(65_535, 1_003)).toBe(1);
    expect(gather.wait(65_536, 1_003)).toBe(0);
    expect(gather.wait(1, 1_004)).toBe(0);
    gather.sent(1, 1_004);
    expect(gather.wait(40_000, 1_004)).toBe(0);
  });

  it('is not held up by a clock that was set back', () => {
    const gather = new Gather();
    gather.sent(20_000, 1_000_000);
    expect(gather.wait(1, 0)).toBe(4);
    gather.sent(1, 0);
    expect(gather.wait(1, 0)).toBe(0);
  });
});
