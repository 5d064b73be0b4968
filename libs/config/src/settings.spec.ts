import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { loadSettings, ownApiServer } from './load-settings';
import { type RawEnvironment, readVariables, SettingsError } from './settings';
import { VARIABLES } from './variables';

const SECRET = 'x'.repeat(32);
const KEY = 'ab'.repeat(32);

/** All that a browser's sign-in with Google needs. */
const GOOGLE = {
  GOOGLE_CLIENT_ID: '1234.apps.example.com',
  GOOGLE_CLIENT_SECRET: SECRET,
  GOOGLE_REDIRECT_URI: 'https://api.example.com/api/v1/auth/google/callback',
  GOOGLE_SUCCESS_REDIRECT: 'devpocket://signed-in',
};

function faultsOf(env: RawEnvironment): readonly string[] {
  try {
    readVariables(env);
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.faults.map(({ variable }) => variable);
    throw error;
  }
}

describe('the variables', () => {
  it('have a default each: an empty environment is a working one', () => {
    expect(readVariables({})).toMatchObject({ HOST: '127.0.0.1', PORT: 8000, RUNTIME: 'auto', BCRYPT_ROUNDS: 12 });
  });

  it('count as unset when empty', () => {
    expect(readVariables({ PORT: '', MONGODB_URL: '' })).toMatchObject({ PORT: 8000, MONGODB_URL: undefined });
  });

  it('are refused all at once, each with what is wrong and an example', () => {
    const env = { PORT: '80000', DEBUG: 'yes', SECRET_KEY: 'short', RUNTIME: 'cloud' };
    expect(faultsOf(env)).toEqual(['PORT', 'DEBUG', 'SECRET_KEY', 'RUNTIME']);
    expect(() => readVariables(env)).toThrow(/PORT must be between 0 and 65535 \(example: PORT=8000\)/);
  });

  it('never repeat a secret in the message', () => {
    let message = '';
    try {
      readVariables({ SECRET_KEY: 'hunter2' });
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain('SECRET_KEY');
    expect(message).not.toContain('hunter2');
  });

  it.each([
    ['PORT', '1e3'],
    ['PORT', '-1'],
    ['ENCRYPTION_KEY', 'ab'.repeat(31)],
    ['ENCRYPTION_KEY', '!'.repeat(44)],
    ['MONGODB_URL', 'http://localhost'],
    ['ALLOWED_ORIGINS', 'https://a.example/path'],
    ['METRICS_TOKEN', 'short'],
    ['DATABASE_NAME', 'a b'],
    ['TRUSTED_PROXIES', '10.0.0.0/99'],
    ['TRUSTED_PROXIES', '10.0.0.1,proxy.example'],
    ['ENCRYPTION_KEYS_OLD', `${KEY},short`],
    ['CLUSTER_REGION', 'mars'],
    ['GOOGLE_SUCCESS_REDIRECT', '/signed-in'],
    ['GOOGLE_SUCCESS_REDIRECT', 'javascript:alert(1)'],
    ['GOOGLE_SUCCESS_REDIRECT', 'https://app.example.com/#signed-in'],
    ['GOOGLE_REDIRECT_URI', 'devpocket://callback'],
  ])('refuse %s=%s', (name, value) => {
    expect(faultsOf({ ...GOOGLE, [name]: value })).toEqual([name]);
  });

  it.each([
    ['MONGODB_URL', 'mongodb://%2Ftmp%2Fmongo.sock/devpocket'],
    ['MONGODB_URL', 'mongodb://a:27017,b:27017/devpocket?replicaSet=rs'],
    ['ENCRYPTION_KEY', Buffer.alloc(32, 7).toString('base64')],
    ['ALLOWED_ORIGINS', 'https://a.example,http://localhost:3000'],
    ['TRUSTED_PROXIES', '10.0.0.0/8, 192.0.2.1, 2001:db8::/32'],
    ['ENCRYPTION_KEYS_OLD', `${KEY}, ${Buffer.alloc(32, 7).toString('base64')}`],
  ])('accept %s=%s', (name, value) => {
    expect(faultsOf({ [name]: value })).toEqual([]);
  });

  it('of Google sign-in are whole, or the client id alone, or none', () => {
    expect(faultsOf(GOOGLE)).toEqual([]);
    expect(faultsOf({ GOOGLE_CLIENT_ID: 'x' })).toEqual([]);
    for (const absent of Object.keys(GOOGLE)) expect(faultsOf({ ...GOOGLE, [absent]: '' })).toEqual([absent]);
    expect(() => readVariables({ GOOGLE_CLIENT_ID: 'x', GOOGLE_CLIENT_SECRET: 'y' })).toThrow(
      /GOOGLE_REDIRECT_URI must be set beside GOOGLE_CLIENT_SECRET \(example: .*\n.*GOOGLE_SUCCESS_REDIRECT/,
    );
  });

  it('are stricter in production', () => {
    const production = { ENVIRONMENT: 'production', RUNTIME: 'local' };
    expect(faultsOf(production)).toEqual(['SECRET_KEY', 'ENCRYPTION_KEY', 'RUNTIME', 'MONGODB_URL']);
    const allowed = {
      ...production,
      SECRET_KEY: SECRET,
      ENCRYPTION_KEY: KEY,
      LOCAL_RUNTIME_IN_PRODUCTION: 'true',
      EMBEDDED_DB_IN_PRODUCTION: 'true',
    };
    expect(faultsOf(allowed)).toEqual([]);
    expect(faultsOf({ ...allowed, GOOGLE_ISSUER: 'http://issuer.example.com' })).toEqual(['GOOGLE_ISSUER']);
    expect(faultsOf({ ...allowed, GOOGLE_ISSUER: 'http://localhost.example.com' })).toEqual(['GOOGLE_ISSUER']);
    expect(faultsOf({ ...allowed, GOOGLE_ISSUER: 'http://localhost:8080' })).toEqual([]);
  });

  it('are those of .env.example, which is valid as it stands', () => {
    const example = parseEnv(readFileSync('.env.example', 'utf8'));
    expect(Object.keys(example).sort()).toEqual(Object.keys(VARIABLES).sort());
    const defaults = readVariables({});
    expect(readVariables(example)).toEqual(defaults);
  });
});

describe('loading', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'devpocket-config-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('makes keys once, for their owner only', () => {
    const env = { DATA_DIR: join(folder, 'data') };
    const first = loadSettings(env);
    const second = loadSettings(env);
    expect(second.auth.secretKey).toBe(first.auth.secretKey);
    expect(second.encryption.encryptionKey).toEqual(first.encryption.encryptionKey);
    expect(statSync(join(folder, 'data/secret-key')).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'data/encryption-key')).mode & 0o777).toBe(0o600);
  });

  it('refuses a kept key that is damaged rather than making another', () => {
    const env = { DATA_DIR: folder };
    loadSettings(env);
    writeFileSync(join(folder, 'secret-key'), 'cut');
    expect(() => loadSettings(env)).toThrow(/SECRET_KEY is not set and the kept key/);
  });

  it('reads the file that ENV_FILE names, under the environment', () => {
    const file = join(folder, 'production.env');
    writeFileSync(file, `PORT=9000\nHOST=0.0.0.0\nDATA_DIR=${folder}\n`);
    const settings = loadSettings({ ENV_FILE: file, PORT: '9001' });
    expect(settings.http).toMatchObject({ host: '0.0.0.0', port: 9001 });
  });

  it('refuses a DATA_DIR that cannot be one, by its name', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(() => loadSettings({ DATA_DIR: join(file, 'data') })).toThrow(/DATA_DIR cannot be used/);
  });

  it('refuses a DATA_DIR where nothing can be made, rather than try for ever', () => {
    if (process.platform !== 'linux') return;
    const keys = { SECRET_KEY: 's'.repeat(32), ENCRYPTION_KEY: 'ab'.repeat(32) };
    for (const env of [{}, keys])
      expect(() => loadSettings({ DATA_DIR: '/proc/devpocket/data', ...env })).toThrow(/DATA_DIR cannot be used \(.*ENOENT/);
  });

  it('knows that it runs as a pod by what Kubernetes puts there', () => {
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    expect(ownApiServer(env, folder)).toBeNull();
    writeFileSync(join(folder, 'token'), 'x');
    writeFileSync(join(folder, 'ca.crt'), 'x');
    expect(ownApiServer(env, folder)).toBe('https://[fd00::1]:6443');
    expect(ownApiServer({ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, folder)).toBe('https://10.0.0.1:443');
    expect(ownApiServer({}, folder)).toBeNull();
  });

  it('refuses an ENV_FILE that is not there', () => {
    expect(() => loadSettings({ ENV_FILE: join(folder, 'absent.env') })).toThrow(SettingsError);
  });
});
