import { isRecord } from '@devpocket/client';
import { readVariables } from '@devpocket/config';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { parse } from 'yaml';

type Values = Readonly<Record<string, unknown>>;

const TEXT = readFileSync('docker-compose.yml', 'utf8');
const EXAMPLE = readFileSync('.env.example', 'utf8');
const compose = parse(TEXT, { merge: true }) as {
  readonly services: Readonly<Record<string, Values>>;
  readonly networks: Values;
};
const services = Object.entries(compose.services);
/** `${NAME}`, `${NAME:-default}`, `${NAME:?message}`; not `$${…}` and `$$NAME`, which are the container's own. */
const NAMES = [...TEXT.matchAll(/(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}/g)].map(([, name = '', kind = '', rest = '']) => ({
  name,
  kind,
  rest,
}));
const list = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);
/** Of docker-compose.yml alone: they are comments, because the server knows none of them. */
const ofCompose = Object.keys(parseEnv(EXAMPLE.replace(/^#(?=[A-Z_]+=)/gm, ''))).filter((name) => !(name in parseEnv(EXAMPLE)));

function service(name: string): Values {
  const found = compose.services[name];
  if (!found) throw new Error(`no service ${name}`);
  return found;
}

function environmentOf(name: string): Readonly<Record<string, string>> {
  const { environment } = service(name);
  if (!isRecord(environment)) throw new Error(`${name} has no environment`);
  return Object.fromEntries(Object.entries(environment).map(([key, value]) => [key, String(value)]));
}

describe('docker-compose.yml', () => {
  it('gives the server variables that it knows, with values that it takes', () => {
    const secrets: Readonly<Record<string, string>> = {
      SECRET_KEY: 'ab'.repeat(32),
      ENCRYPTION_KEY: 'cd'.repeat(32),
      MONGO_PASSWORD: 'ef'.repeat(32),
      REDIS_PASSWORD: '12'.repeat(32),
    };
    const given = Object.entries(environmentOf('devpocket-api')).map(([key, value]) => [
      key,
      value.replace(/\$\{(\w+):\?[^}]*\}/g, (_, name: string) => secrets[name] ?? ''),
    ]);
    const known = Object.keys(readVariables({}));
    expect(given.map(([key]) => key).filter((key) => !known.includes(key ?? ''))).toEqual([]);
    const read = readVariables({ ...parseEnv(EXAMPLE), ...(Object.fromEntries(given) as Record<string, string>) });
    expect(read).toMatchObject({ ENVIRONMENT: 'production', RUNTIME: 'docker', DATA_DIR: '/data', PORT: 8000 });
    expect(new URL(read.REDIS_URL ?? '').password).toBe(secrets.REDIS_PASSWORD);
    expect(new URL(read.MONGODB_URL ?? '').password).toBe(secrets.MONGO_PASSWORD);
  });

  it('uses no variable that .env.example does not have, and all that are there for it', () => {
    const known = [...Object.keys(readVariables({})), ...ofCompose];
    expect(NAMES.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
    expect(ofCompose.filter((name) => !NAMES.some((used) => used.name === name))).toEqual([]);
  });

  it('has no secret of its own: each is asked for, and a start without it says which', () => {
    const secrets = NAMES.filter(({ name }) => /PASSWORD|KEY/.test(name));
    expect(new Set(secrets.map(({ name }) => name))).toEqual(
      new Set(['SECRET_KEY', 'ENCRYPTION_KEY', 'MONGO_PASSWORD', 'REDIS_PASSWORD']),
    );
    for (const { name, kind, rest } of secrets) {
      expect(kind).toBe('?');
      expect(rest).toMatch(new RegExp(`^${name} is not set in \\.env`));
    }
  });

  it.each(services)('runs %s without rights, on a root that nobody writes to', (_name, definition) => {
    expect(definition).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    for (const key of ['privileged', 'cap_add', 'network_mode', 'pid', 'ipc', 'devices'])
      expect(definition).not.toHaveProperty(key);
    expect(definition).toMatchObject({ restart: 'unless-stopped', logging: { options: { 'max-size': '10m' } } });
  });

  it('gives the engine’s socket to docker-proxy alone, which only the server reaches', () => {
    const holders = services.filter(([, { volumes }]) => list(volumes).some((volume) => volume.includes('docker.sock')));
    expect(holders.map(([name]) => name)).toEqual(['docker-proxy']);
    const beside = services.filter(([, { networks }]) => list(networks).includes('engine')).map(([name]) => name);
    expect(beside).toEqual(['devpocket-api', 'docker-proxy']);
    expect(list(service('docker-proxy').networks)).toEqual(['engine']);
    expect(compose.networks).toMatchObject({ engine: { internal: true }, database: { internal: true } });
  });

  it('lets nginx alone be called from elsewhere, and several servers be there', () => {
    const open = services.filter(([, { ports }]) => list(ports).some((port) => !port.startsWith('127.0.0.1:')));
    expect(open.map(([name]) => name)).toEqual(['nginx']);
    for (const [, definition] of services) expect(definition).not.toHaveProperty('container_name');
    expect(service('devpocket-api')).not.toHaveProperty('ports');
  });

  it('starts the server when what it needs is there, and gives it time to stop', () => {
    expect(service('devpocket-api').depends_on).toMatchObject({
      mongo: { condition: 'service_healthy' },
      redis: { condition: 'service_healthy' },
    });
    for (const name of ['mongo', 'redis', 'nginx']) expect(service(name)).toHaveProperty('healthcheck.test');
    expect(parseInt(String(service('devpocket-api').stop_grace_period), 10)).toBeGreaterThan(
      readVariables({}).SHUTDOWN_GRACE_SECONDS,
    );
  });

  it('has an nginx that takes bodies as large as the server does', () => {
    const nginx = readFileSync('scripts/nginx/nginx.conf', 'utf8');
    expect(nginx).toContain(`client_max_body_size ${readVariables({}).MAX_BODY_BYTES};`);
  });

  it('is started by a script that the shell can read', () => {
    expect(() => execFileSync('sh', ['-n', 'scripts/start.sh'])).not.toThrow();
  });
});
