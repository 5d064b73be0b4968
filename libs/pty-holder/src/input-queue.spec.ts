import { InputQueue } from './input-queue';

describe('input on its way to a holder', () => {
  it('counts what counts less than its bytes with the last of them', () => {
    const queue = new InputQueue(0, 0);
    void queue.add(Buffer.from('typed'), { clientId: 'a', seq: 5 });
    void queue.add(Buffer.from('\x1b[A'), { clientId: 'a', seq: 6, span: 1 });
    void queue.add(Buffer.from('free'), undefined);
    const read = (frame: Buffer): unknown[] => {
      const idEnds = 22 + (frame[21] ?? 0);
      return [frame.toString('latin1', 22, idEnds), Number(frame.readBigUInt64BE(13)), frame.toString('latin1', idEnds)];
    };
    expect([...queue.due()].map(read)).toEqual([
      ['a', 5, 'typed'],
      ['', 0, '\x1b['],
      ['a', 6, 'A'],
      ['', 0, 'free'],
    ]);
  });

  it('does not go on with a holder that has less than was taken, or more than was sent', async () => {
    const queue = new InputQueue(0, 0);
    const first = queue.add(Buffer.alloc(50_000), undefined);
    const second = queue.add(Buffer.alloc(50_000), undefined);
    const due = (): number => [...queue.due()].reduce((sum, { length }) => sum + length - 22, 0);
    expect(due()).toBe(65_536);
    queue.took(60_000);
    await first;
    expect(due()).toBe(100_000 - 65_536);
    expect([59_999, 100_001].map((accepted) => queue.resume(accepted, 0))).toEqual([false, false]);
    expect(queue.resume(60_000, 60_000)).toBe(true);
    expect(due()).toBe(40_000);
    queue.took(100_000);
    await second;
  });
});
