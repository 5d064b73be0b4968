import { type Settings } from '@devpocket/config';
import { hasCode } from '@devpocket/kernel';
import { checkMail } from '@devpocket/mail';
import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { failed, type Finding, finding, ok, warning } from './doctor';
import { pingRedis } from './redis-ping';

const MIB = 1024 * 1024;
const [LEAST_FREE, ENOUGH_FREE] = [100 * MIB, 1024 * MIB];
const OTHERS = 0o077;
/** The first with GETDEL. */
const LEAST_REDIS = [6, 2] as const;
const SECRETS = /^(secret-key|encryption-key|try-.*\.json)$/;

/** What can be told without the database. */
export async function examineMachine(settings: Settings, envFile: string): Promise<readonly Finding[]> {
  const { dataDir } = settings.app;
  return [
    ...reservations(settings),
    await finding('data_dir', `make ${dataDir} a folder of the server's own, or set DATA_DIR`, () => dataDirOf(dataDir)),
    ...secretFiles(dataDir, envFile),
    await finding('disk', `make ${dataDir} readable`, () => disk(dataDir)),
    ...(settings.sharedState.redisUrl === null ? [] : [await redis(settings.sharedState.redisUrl)]),
    await mail(settings),
  ];
}

/** Of settings that are valid, those that are seldom meant. */
function reservations({ app, http, mail, auth }: Settings): readonly Finding[] {
  const found: Finding[] = [];
  const production = app.environment === 'production';
  if (app.debug && production)
    found.push(warning('settings', 'DEBUG=true: a 500 tells of the inside', 'set DEBUG=false in production'));
  if (http.allowedOrigins.includes('*'))
    found.push(warning('settings', 'ALLOWED_ORIGINS=* lets every web page call the API', 'name the origins of your own pages'));
  if (mail.smtpUrl !== null && mail.publicUrl === null)
    found.push(
      warning(
        'settings',
        'PUBLIC_URL is not set: mails have codes and no links',
        'set PUBLIC_URL to where clients reach the server',
      ),
    );
  if (production && auth.bcryptRounds < 10)
    found.push(warning('settings', `BCRYPT_ROUNDS=${auth.bcryptRounds} is quickly guessed`, 'use 12'));
  return found.length > 0 ? found : [ok('settings', `valid, ENVIRONMENT=${app.environment}`)];
}

function dataDirOf(dataDir: string): Finding {
  if (!existsSync(dataDir)) return ok('data_dir', `${dataDir} is made at the first start`);
  const { mode, uid } = statSync(dataDir);
  accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  const own = process.getuid?.() ?? uid;
  if (uid !== own)
    return warning(
      'data_dir',
      `${dataDir} belongs to user ${uid}, and this is ${own}`,
      'run the server and this command as one user',
    );
  if ((mode & OTHERS) !== 0)
    return warning('data_dir', `${dataDir} can be entered by others (mode ${octal(mode)})`, `chmod 700 ${dataDir}`);
  return ok('data_dir', dataDir);
}

/** Files that hold secrets are their owner's alone. */
function secretFiles(dataDir: string, envFile: string): readonly Finding[] {
  const inside = readable(() => readdirSync(dataDir)) ?? [];
  const files = [...inside.filter((name) => SECRETS.test(name)).map((name) => join(dataDir, name)), envFile];
  const open = files.flatMap((file) => {
    const mode = readable(() => statSync(file))?.mode;
    return mode === undefined || (mode & OTHERS) === 0 ? [] : [{ file, mode }];
  });
  if (open.length === 0) return [ok('secrets', `files with secrets are their owner's alone`)];
  return open.map(({ file, mode }) => {
    const message = `${file} can be read by others (mode ${octal(mode)})`;
    return file === envFile ? warning('secrets', message, `chmod 600 ${file}`) : failed('secrets', message, `chmod 600 ${file}`);
  });
}

/** Null for what is not there; what is there and closed to us is the business of `data_dir`. */
function readable<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].some((code) => hasCode(error, code))) return null;
    throw error;
  }
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8);
}

function disk(dataDir: string): Finding {
  let folder = dataDir;
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  const { bavail, blocks, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const message = `${Math.floor(free / MIB)} MiB free for DATA_DIR, ${Math.round((100 * bavail) / Math.max(blocks, 1))} % of the file system`;
  const mend = 'make room, or move DATA_DIR to a larger file system';
  if (free < LEAST_FREE) return failed('disk', message, mend);
  return free < ENOUGH_FREE ? warning('disk', message, mend) : ok('disk', message);
}

async function redis(url: string): Promise<Finding> {
  return finding('redis', 'see that Redis runs and REDIS_URL has its address and password', async () => {
    const version = await pingRedis(url);
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < LEAST_REDIS[0] || (major === LEAST_REDIS[0] && minor < LEAST_REDIS[1]))
      return failed('redis', `is of version ${version}`, `use Redis ${LEAST_REDIS.join('.')} or later`);
    return ok('redis', `answers, version ${version}; all replicas need the same REDIS_URL`);
  });
}

async function mail(settings: Settings): Promise<Finding> {
  if (settings.mail.smtpUrl === null)
    return warning(
      'mail',
      'SMTP_URL is not set: accounts count as verified at once, and mails are written to DATA_DIR/mail',
      'set SMTP_URL before strangers may register',
    );
  return finding('mail', 'see that SMTP_URL has the address, user and password of a mail server', async () =>
    ok('mail', await checkMail(settings.mail)),
  );
}
