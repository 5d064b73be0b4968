import { testSettings } from '@testing/config';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { PasswordHasher } from './password-hasher';

const hasher = (rounds: number): PasswordHasher =>
  new PasswordHasher(testSettings({ DATA_DIR: tmpdir(), BCRYPT_ROUNDS: String(rounds) }).auth);

describe('PasswordHasher', () => {
  it('knows a password by its hash, and no other', async () => {
    const cheap = hasher(4);
    const hashed = await cheap.hash('Abcdefg1');
    expect(hashed).toMatch(/^\$2b\$04\$/);
    expect(await cheap.matches('Abcdefg1', hashed)).toBe(true);
    for (const other of ['abcdefg1', 'Abcdefg1 ', 'Abcdefg', '']) expect(await cheap.matches(other, hashed)).toBe(false);
  });

  it('does not take a longer password for the one that it begins with', async () => {
    const cheap = hasher(4);
    const longest = `Aa1${'x'.repeat(69)}`;
    const hashed = await cheap.hash(longest);
    expect(await cheap.matches(longest, hashed)).toBe(true);
    expect(await cheap.matches(`${longest}y`, hashed)).toBe(false);
    const short = await cheap.hash('Abcdefg1');
    expect(await cheap.matches('Abcdefg1\0rest', short)).toBe(false);
  });

  it('matches nothing for an account that cannot sign in', async () => {
    const cheap = hasher(4);
    for (const password of ['', 'Abcdefg1', 'x'.repeat(200)]) expect(await cheap.matches(password, null)).toBe(false);
  });

  it('does the same work for an account that cannot sign in', async () => {
    const real = hasher(9);
    const hashed = await real.hash('Abcdefg1');
    // Processor time of this process, its threads included: whatever else the machine does.
    const cost = async (against: string | null): Promise<number> => {
      const before = process.cpuUsage();
      await real.matches('Wrong-1x', against);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    const costs: { known: number; unknown: number }[] = [];
    for (let n = 0; n < 9; n += 1) costs.push({ known: await cost(hashed), unknown: await cost(null) });
    const least = (side: 'known' | 'unknown'): number => Math.min(...costs.map((one) => one[side]));
    expect(least('unknown') / least('known')).toBeGreaterThan(0.7);
    expect(least('unknown') / least('known')).toBeLessThan(1.4);
  });

  it('leaves the main thread free', async () => {
    const real = hasher(9);
    let working = true;
    const work = Promise.all([1, 2, 3, 4].map(() => real.hash('Abcdefg1'))).finally(() => {
      working = false;
    });
    let turns = 0;
    while (working) {
      await nextTurn();
      turns += 1;
    }
    await work;
    expect(turns).toBeGreaterThan(100);
  });

  it('asks whether the work is still wanted when its turn has come', async () => {
    const cheap = hasher(8);
    let hashedFirst = false;
    const first = cheap.hash('Abcdefg1').then(() => {
      hashedFirst = true;
    });
    // More than the machine takes at once, so the last one waits behind the first.
    const rest = Array.from({ length: 64 }, () => cheap.hash('Abcdefg1').catch(() => 'turned away'));
    let sawFirst = false;
    const late = cheap.hash('Abcdefg1', () => {
      sawFirst = hashedFirst;
      return Promise.reject(new Error('no longer'));
    });
    await expect(late).rejects.toThrow('no longer');
    expect(sawFirst).toBe(true);
    await Promise.all([first, ...rest]);
  });

  it('knows a hash of another cost', async () => {
    const hashed = await hasher(4).hash('Abcdefg1');
    expect(hasher(4).isOutdated(hashed)).toBe(false);
    expect(hasher(5).isOutdated(hashed)).toBe(true);
  });
});
