import { Migrator } from '@devpocket/database';
import { SystemClock } from '@devpocket/kernel';
import { MailServer } from '@testing/mail';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mongoose from 'mongoose';
import { loadSettings } from '@devpocket/config';
import { type Finding, lineOf, warning } from './doctor';
import { examineDatabase } from './doctor-database';
import { examineMachine } from './doctor-machine';
import { withDatabase } from './open-as-is';
import { pingRedis } from './redis-ping';

const KEYS = { SECRET_KEY: 's'.repeat(32), ENCRYPTION_KEY: 'ab'.repeat(32) };

/** Answers as a Redis with this password does. */
function redis(password: string | null, version = '7.0.15'): Promise<Server> {
  const server = createServer((socket) => {
    let signedIn = password === null;
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().split(/(?=\*)/)) {
        const words = line.split('\r\n').filter((_, at) => at > 0 && at % 2 === 0);
        if (words[0] === 'AUTH') signedIn = words.at(-1) === password;
        if (words[0] === 'AUTH') socket.write(signedIn ? '+OK\r\n' : '-WRONGPASS invalid username-password pair\r\n');
        const info = `redis_version:${version}\r\n`;
        if (words[0] === 'INFO')
          socket.write(signedIn ? `$${info.length}\r\n${info}\r\n` : '-NOAUTH Authentication required.\r\n');
      }
    });
    socket.on('error', () => undefined);
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const closed = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

describe('the doctor', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-doctor-'));
  const database = `test_doctor_${process.pid}`;
  const envFile = join(folder, 'server.env');
  const settings = (env: Readonly<Record<string, string>> = {}) =>
    loadSettings({
      ENV_FILE: '/dev/null',
      DATA_DIR: folder,
      DATABASE_NAME: database,
      MONGODB_URL: process.env.MONGODB_URL,
      ...KEYS,
      ...env,
    });
  const machine = async (env: Readonly<Record<string, string>> = {}): Promise<readonly Finding[]> =>
    examineMachine(settings(env), envFile);
  const byName = (findings: readonly Finding[], name: string): readonly Finding[] => findings.filter((one) => one.name === name);
  afterAll(async () => {
    const url = process.env.MONGODB_URL;
    if (url) {
      const connection = await mongoose.createConnection(url, { dbName: database }).asPromise();
      await connection.dropDatabase();
      await connection.close();
    }
    rmSync(folder, { recursive: true });
  });

  it('finds a machine well', async () => {
    const findings = await machine();
    expect(findings.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(findings.map(({ name }) => name)).toEqual(['settings', 'data_dir', 'secrets', 'disk', 'mail']);
    expect(byName(await machine({ DATA_DIR: join(folder, 'not', 'yet') }), 'data_dir')).toMatchObject([{ status: 'ok' }]);
  });

  it('sees what others may read', async () => {
    const key = join(folder, 'secret-key');
    writeFileSync(key, 'x');
    writeFileSync(envFile, 'A=b');
    for (const file of [key, envFile, folder]) chmodSync(file, 0o755);
    const findings = await machine();
    expect(byName(findings, 'data_dir')).toMatchObject([{ status: 'warning', mend: `chmod 700 ${folder}` }]);
    expect(byName(findings, 'secrets')).toMatchObject([
      { status: 'failed', mend: `chmod 600 ${key}` },
      { status: 'warning', mend: `chmod 600 ${envFile}` },
    ]);
    for (const file of [key, envFile]) chmodSync(file, 0o600);
    chmodSync(folder, 0o700);
    expect(byName(await machine(), 'secrets')).toMatchObject([{ status: 'ok' }]);
    expect(byName(await machine({ DATA_DIR: key }), 'data_dir')).toMatchObject([{ status: 'failed' }]);
  });

  it('sees settings that are seldom meant', async () => {
    const findings = await machine({ ALLOWED_ORIGINS: '*', SMTP_URL: 'smtp://127.0.0.1:1' });
    expect(byName(findings, 'settings').map(({ message }) => message)).toEqual([
      expect.stringContaining('ALLOWED_ORIGINS'),
      expect.stringContaining('PUBLIC_URL'),
    ]);
    expect(byName(findings, 'mail')).toMatchObject([
      { status: 'failed', message: expect.stringContaining('ECONNREFUSED') as string },
    ]);
  });

  it('asks a mail server whether it takes us', async () => {
    const server = await MailServer.start();
    expect(byName(await machine({ SMTP_URL: server.url }), 'mail')).toMatchObject([{ status: 'ok' }]);
    await server.close();
  });

  it('asks Redis as a client does, and repeats no password', async () => {
    const server = await redis('secret-word');
    const at = `127.0.0.1:${portOf(server)}`;
    expect(await pingRedis(`redis://:secret-word@${at}`)).toBe('7.0.15');
    await pingRedis(`redis://default:secret-word@${at}/0`);
    await expect(pingRedis(`redis://${at}`)).rejects.toThrow('NOAUTH');
    const [wrong] = byName(await machine({ REDIS_URL: `redis://:other-word@${at}` }), 'redis');
    expect(wrong).toMatchObject({ status: 'failed', message: expect.stringContaining('WRONGPASS') as string });
    expect(JSON.stringify(wrong)).not.toContain('other-word');
    await closed(server);
    await expect(pingRedis(`redis://${at}`)).rejects.toThrow('ECONNREFUSED');
    const old = await redis(null, '6.0.16');
    const [found] = byName(await machine({ REDIS_URL: `redis://127.0.0.1:${portOf(old)}` }), 'redis');
    expect(found).toMatchObject({ status: 'failed', message: 'is of version 6.0.16' });
    await closed(old);
  });

  it('looks at a database and leaves it as it was', async () => {
    const examined = () => withDatabase(settings().database, examineDatabase);
    expect(await examined()).toMatchObject([
      { name: 'database', status: 'ok' },
      // An engine that stands in for MongoDB may tell no time.
      { name: 'clock', message: expect.stringMatching(/^(\d ms from|the database does not tell)/) as string },
      { name: 'migrations', status: 'ok' },
    ]);
    const left = await withDatabase(settings().database, ({ connection }) => connection.collection('doctor').countDocuments());
    expect(left).toBe(0);
    const later = { id: '9999-later', up: () => Promise.resolve() };
    await withDatabase(settings().database, ({ connection }) =>
      new Migrator(connection, new SystemClock(), { migrations: [later], log: () => undefined }).run(),
    );
    expect(byName(await examined(), 'migrations')).toMatchObject([
      { status: 'failed', message: expect.stringContaining('9999-later') as string },
    ]);
  });

  it('says it in a line, and how to mend it in another', () => {
    expect(lineOf(warning('disk', '5 MiB free', 'make room'))).toBe(
      `warning  disk          5 MiB free\n${' '.repeat(23)}-> make room\n`,
    );
  });
});
