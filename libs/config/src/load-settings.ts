import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { hasCode, makeFolder } from '@devpocket/kernel';
import { type KeptKeys, type RawEnvironment, readVariables, type Settings, SettingsError, toSettings } from './settings';
import { decodeKey, type Variables } from './variables';

/**
 * Reads the environment once: the process's variables over those of `.env` (or of the file that `ENV_FILE` names). Keys
 * that no variable gives are made once and kept in `DATA_DIR`, mode 0600.
 * @throws SettingsError
 */
export function loadSettings(env: RawEnvironment = process.env): Settings {
  const variables = readVariables({ ...readEnvFile(env.ENV_FILE), ...env });
  refuseImpossible(variables.DATA_DIR);
  return toSettings(variables, keptKeys(variables), packageVersion(), { ownApiServer: ownApiServer(env) });
}

/** Which keys no variable gives, so that they are kept in `DATA_DIR`. */
export interface KeptKeySources {
  readonly secretKey: boolean;
  readonly encryptionKey: boolean;
}

/** @throws SettingsError */
export function keptKeySources(env: RawEnvironment = process.env): KeptKeySources {
  const { SECRET_KEY, ENCRYPTION_KEY } = { ...readEnvFile(env.ENV_FILE), ...env };
  return { secretKey: !SECRET_KEY, encryptionKey: !ENCRYPTION_KEY };
}

/** Where Kubernetes puts what a pod needs to call its cluster ("Accessing the Kubernetes API from a Pod"). */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

export function ownApiServer(env: RawEnvironment, serviceAccount = SERVICE_ACCOUNT): string | null {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!host || !['token', 'ca.crt'].every((file) => existsSync(join(serviceAccount, file)))) return null;
  return `https://${host.includes(':') ? `[${host}]` : host}:${port || '443'}`;
}

function readEnvFile(named: string | undefined): RawEnvironment {
  try {
    return parseEnv(readFileSync(named || '.env', 'utf8'));
  } catch (error) {
    if (!named && hasCode(error, 'ENOENT')) return {};
    const problem = `names ${named ?? '.env'}, which cannot be read (${error instanceof Error ? error.message : String(error)})`;
    throw new SettingsError([{ variable: 'ENV_FILE', problem, example: './production.env' }]);
  }
}

/**
 * Refuses a folder that can never be, as in /proc, before anything is made in it. One that is only closed to us is the business of
 * whoever needs it: with keys and a database elsewhere nobody may.
 */
function refuseImpossible(dataDir: string): void {
  try {
    makeFolder(dataDir);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw unusable(error);
  }
}

function unusable(error: unknown): SettingsError {
  const problem = `cannot be used (${error instanceof Error ? error.message : String(error)})`;
  return new SettingsError([{ variable: 'DATA_DIR', problem, example: './.data' }]);
}

function keptKeys(variables: Variables): KeptKeys {
  const folder = resolve(variables.DATA_DIR);
  return {
    secretKey: variables.SECRET_KEY ?? keptIn(folder, 'secret-key', (text) => Buffer.byteLength(text) >= 32),
    encryptionKey:
      variables.ENCRYPTION_KEY ??
      Buffer.from(
        keptIn(folder, 'encryption-key', (text) => decodeKey(text) !== null),
        'hex',
      ),
  };
}

function keptIn(folder: string, name: string, valid: (text: string) => boolean): string {
  try {
    return kept(folder, name, valid);
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    throw unusable(error);
  }
}

/** Reads the key in `folder/name`, or makes it. Two processes that start at once agree: the first link wins. */
function kept(folder: string, name: string, valid: (text: string) => boolean): string {
  const file = join(folder, name);
  const read = (): string | null => {
    try {
      return readFileSync(file, 'utf8').trim();
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    }
  };
  const found = read();
  if (found === null) {
    makeFolder(folder);
    const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeFileSync(draft, randomBytes(32).toString('hex') + '\n', { mode: 0o600, flush: true });
    try {
      linkSync(draft, file);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    } finally {
      unlinkSync(draft);
    }
  }
  const text = found ?? read() ?? '';
  if (valid(text)) return text;
  const variable = name === 'secret-key' ? 'SECRET_KEY' : 'ENCRYPTION_KEY';
  throw new SettingsError([
    { variable, problem: `is not set and the kept key in ${file} is damaged`, example: 'the output of: openssl rand -hex 32' },
  ]);
}

/** The version in package.json, three folders up both from `libs/config/src` and from `dist/libs/config/src`'s parent. */
export function packageVersion(): string {
  for (const up of ['../../..', '../../../..']) {
    try {
      const file: unknown = JSON.parse(readFileSync(join(__dirname, up, 'package.json'), 'utf8'));
      if (typeof file === 'object' && file !== null && 'version' in file && typeof file.version === 'string') return file.version;
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
  return '0.0.0';
}
