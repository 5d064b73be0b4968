import { Looks } from './looks';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('shared looks', () => {
  const looks = new Looks<number>();
  const under: { resolve: (value: number) => void; reject: (error: Error) => void }[] = [];
  const ask = (key = 'a'): Promise<number> =>
    looks.get(key, () => new Promise((resolve, reject) => under.push({ resolve, reject })));
  beforeEach(() => under.splice(0));

  it('begin at once, or when the one under way has ended, then once for all who wait', async () => {
    const first = ask();
    const others = [ask(), ask()];
    expect(under).toHaveLength(1);
    under[0]?.resolve(1);
    expect(await first).toBe(1);
    await settle();
    expect(under).toHaveLength(2);
    const late = ask();
    under[1]?.resolve(2);
    expect(await Promise.all(others)).toEqual([2, 2]);
    await settle();
    under[2]?.resolve(3);
    expect(await late).toBe(3);
  });

  it('do not wait for those of another key', async () => {
    const [one, other] = [ask('a'), ask('b')];
    under[1]?.resolve(2);
    expect(await other).toBe(2);
    under[0]?.resolve(1);
    expect(await one).toBe(1);
  });

  it('fail each for itself', async () => {
    const first = ask();
    const next = ask();
    const failed = expect(first).rejects.toThrow('no database');
    under[0]?.reject(new Error('no database'));
    await failed;
    await settle();
    under[1]?.resolve(2);
    expect(await next).toBe(2);
    await settle();
    const again = ask();
    under[2]?.resolve(3);
    expect(await again).toBe(3);
  });
});
