import { type DatabaseSettings } from '@devpocket/config';
import { startEmbeddedMongo } from '@devpocket/embedded-mongo';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { besides, openDatabase } from './open-database';

describe('opening a MongoDB that is just starting', () => {
  const directory = mkdtempSync(join(tmpdir(), 'devpocket-open-'));
  let engine: Awaited<ReturnType<typeof startEmbeddedMongo>>;
  beforeAll(async () => {
    engine = await startEmbeddedMongo({ directory, log: () => undefined });
  });
  afterAll(async () => {
    await engine.close();
    rmSync(directory, { recursive: true });
  });

  it('tries again when its connections break, and says so', async () => {
    const socket = decodeURIComponent(new URL(engine.url).hostname);
    let connections = 0;
    const proxy = createServer((client) => {
      // The first is the driver's look at the server, which is repeated by itself; the second and the fourth are for commands.
      if ((connections += 1) % 2 === 0 && connections < 6) return void client.resetAndDestroy();
      const upstream = connect(socket);
      client.pipe(upstream).pipe(client);
      client.on('error', () => upstream.destroy());
      upstream.on('error', () => client.destroy());
    });
    await new Promise<void>((ready) => proxy.listen(0, '127.0.0.1', ready));
    const url = `mongodb://127.0.0.1:${(proxy.address() as AddressInfo).port}/`;
    const lines: string[] = [];
    const settings = { url, name: 'test', dataDir: directory, recordFile: null } as DatabaseSettings;
    const handle = await openDatabase(settings, { log: (line) => lines.push(line) });
    await new Promise((closed) => proxy.close(closed));
    expect(handle).toMatchObject({ kind: 'mongodb', url });
    expect(lines).not.toEqual([]);
    expect(lines.join('\n')).toMatch(/^MONGODB_URL: .*ECONNRESET.*; trying again/);
  });
});

describe('options of the connection', () => {
  const ours = { maxPoolSize: 32, retryWrites: true, writeConcern: { w: 'majority' as const, wtimeoutMS: 10_000 } };

  it.each([
    ['mongodb://a:1,b:2/devpocket', ours],
    ['mongodb://a/?directConnection=true', ours],
    ['mongodb://u:p%3Fmaxpoolsize@a/?maxpoolsize=7', { retryWrites: true, writeConcern: ours.writeConcern }],
    ['mongodb+srv://a/?w=1&retryWrites=false', { maxPoolSize: 32 }],
    ['mongodb://a/?wtimeoutMS=5', { maxPoolSize: 32, retryWrites: true }],
  ])('are left to the URL where it has them: %s', (url, left) => {
    expect(besides(url, ours)).toEqual(left);
  });
});
