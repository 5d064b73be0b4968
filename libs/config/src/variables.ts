import { REGIONS } from '@devpocket/kernel';
import { isIP } from 'node:net';
import proxyaddr from 'proxy-addr';
import { z } from 'zod';

const BYTES = /^\d+$/;

const whole = (least: number, most: number) =>
  z
    .string()
    .regex(BYTES, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= least && value <= most, `must be between ${least} and ${most}`);

const flag = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
);
const url = (protocols: readonly string[]) =>
  z.string().refine(
    (text) => {
      try {
        return protocols.includes(new URL(text.replace(/^(mongodb(\+srv)?:\/\/)[^/?]*/, '$1host')).protocol);
      } catch {
        return false;
      }
    },
    `must be a URL beginning with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  );
const origin = list.refine(
  (origins) => origins.every(isOrigin),
  'must be a comma-separated list of origins (scheme://host[:port]), or *',
);

/** As the docker command takes it, but for SSH and Windows' pipes. */
const engine = z.string().refine(isEngine, 'must be unix:///path, tcp://host:port, http://… or https://…');
/** The docker command takes any text for yes. */
const anyFlag = z.string().transform((text) => text !== '0' && text.toLowerCase() !== 'false');

const proxies = list.refine(areProxies, 'must be a comma-separated list of addresses or CIDR ranges');

/** Also with a scheme of an app's own; never one that a browser would run. */
const appAddress = z
  .string()
  .refine(isAppAddress, 'must be an absolute URL without a fragment: https, http or an app’s own scheme');

/** HS256 uses the bytes of the text as they stand (RFC 7518 §3.2 asks for at least 32). */
const secretKey = z.string().refine((text) => Buffer.byteLength(text) >= 32, 'must be at least 32 bytes long');
const encryptionKey = z
  .string()
  .refine((text) => decodeKey(text) !== null, 'must be 32 bytes, as 64 hex digits or as base64')
  .transform((text) => decodeKey(text) ?? Buffer.alloc(0));

const encryptionKeys = list
  .refine((keys) => keys.every((key) => decodeKey(key) !== null), 'must be keys of 32 bytes each, as 64 hex digits or as base64')
  .transform((keys) => keys.flatMap((key) => decodeKey(key) ?? []));

function isOrigin(text: string): boolean {
  if (text === '*') return true;
  try {
    return new URL(text).origin === text;
  } catch {
    return false;
  }
}

function isAppAddress(text: string): boolean {
  try {
    const { protocol, hash, username, password } = new URL(text);
    const runs = ['javascript:', 'data:', 'vbscript:', 'blob:', 'file:', 'about:'].includes(protocol);
    return !runs && hash === '' && username === '' && password === '';
  } catch {
    return false;
  }
}

function isEngine(text: string): boolean {
  if (text.startsWith('unix://')) return /^unix:\/\/\/./.test(text);
  try {
    const { protocol, hostname, username, password } = new URL(text);
    return ['tcp:', 'http:', 'https:'].includes(protocol) && hostname !== '' && username + password === '';
  } catch {
    return false;
  }
}

function areProxies(texts: string[]): boolean {
  try {
    proxyaddr.compile(texts);
    return true;
  } catch {
    return false;
  }
}

export function decodeKey(text: string): Buffer | null {
  const key = /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
  const isBase64 = key.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '');
  return key.length === 32 && (text.length === 64 || isBase64) ? key : null;
}

/** Every variable that the server reads, with its rule and, for the message that refuses a bad one, an example. */
export const VARIABLES = {
  HOST: { rule: z.string().default('127.0.0.1'), example: '127.0.0.1' },
  PORT: { rule: whole(0, 65535).default(8000), example: '8000' },
  ENVIRONMENT: { rule: z.enum(['development', 'production', 'test']).default('development'), example: 'production' },
  DEBUG: { rule: flag.default(false), example: 'false' },
  DATA_DIR: { rule: z.string().default('./.data'), example: './.data' },
  MONGODB_URL: { rule: url(['mongodb:', 'mongodb+srv:']).optional(), example: 'mongodb://localhost:27017/devpocket' },
  DATABASE_NAME: {
    rule: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,38}$/, 'must be 1–38 of letters, digits, _ and -')
      .default('devpocket'),
    example: 'devpocket',
  },
  REDIS_URL: { rule: url(['redis:', 'rediss:']).optional(), example: 'redis://:password@localhost:6379' },
  REPLICA_HOST: {
    rule: z
      .string()
      .refine((text) => isIP(text) !== 0, 'must be an IP address of this machine')
      .optional(),
    example: '10.0.0.5',
  },
  REPLICA_PORT: { rule: whole(0, 65535).default(0), example: '9100' },
  SECRET_KEY: { rule: secretKey.optional(), example: 'the output of: openssl rand -hex 32' },
  ENCRYPTION_KEY: { rule: encryptionKey.optional(), example: 'the output of: openssl rand -hex 32' },
  ENCRYPTION_KEYS_OLD: { rule: encryptionKeys.default([]), example: 'the ENCRYPTION_KEY before this one' },
  ACCESS_TOKEN_EXPIRE_MINUTES: { rule: whole(1, 1440).default(30), example: '30' },
  REFRESH_TOKEN_EXPIRE_DAYS: { rule: whole(1, 365).default(30), example: '30' },
  REFRESH_GRACE_SECONDS: { rule: whole(0, 600).default(60), example: '60' },
  GOOGLE_CLIENT_ID: { rule: z.string().optional(), example: '1234.apps.googleusercontent.com' },
  GOOGLE_CLIENT_SECRET: { rule: z.string().optional(), example: 'the secret from the Google console' },
  GOOGLE_REDIRECT_URI: {
    rule: url(['http:', 'https:']).optional(),
    example: 'https://api.example.com/api/v1/auth/google/callback',
  },
  GOOGLE_ISSUER: {
    rule: url(['http:', 'https:']).default('https://accounts.google.com'),
    example: 'https://accounts.google.com',
  },
  GOOGLE_SUCCESS_REDIRECT: { rule: appAddress.optional(), example: 'devpocket://signed-in' },
  ALLOWED_ORIGINS: { rule: origin.default([]), example: 'https://app.example.com,http://localhost:3000' },
  TRUSTED_PROXIES: { rule: proxies.default([]), example: '10.0.0.0/8,127.0.0.1' },
  RUNTIME: { rule: z.enum(['auto', 'local', 'docker', 'kubernetes']).default('auto'), example: 'auto' },
  DOCKER_HOST: { rule: engine.default('unix:///var/run/docker.sock'), example: 'unix:///var/run/docker.sock' },
  DOCKER_TLS_VERIFY: { rule: anyFlag.default(false), example: '1' },
  DOCKER_CERT_PATH: { rule: z.string().optional(), example: '/etc/docker/certs' },
  DOCKER_CONFIG: { rule: z.string().optional(), example: '/home/devpocket/.docker' },
  ALLOW_CUSTOM_IMAGES: { rule: flag.default(false), example: 'false' },
  ALLOWED_IMAGE_PATTERNS: { rule: list.default([]), example: 'docker.io/library/*,ghcr.io/acme/*' },
  RATE_LIMIT_ENABLED: { rule: flag.default(true), example: 'true' },
  RATE_LIMIT_PER_MINUTE: { rule: whole(1, 1_000_000).default(100), example: '100' },
  AUTH_RATE_LIMIT_PER_MINUTE: { rule: whole(1, 1_000_000).default(5), example: '5' },
  SMTP_URL: { rule: url(['smtp:', 'smtps:']).optional(), example: 'smtps://user:password@smtp.example.com' },
  MAIL_FROM: { rule: z.string().default('DevPocket <no-reply@localhost>'), example: 'DevPocket <no-reply@example.com>' },
  PUBLIC_URL: { rule: url(['http:', 'https:']).optional(), example: 'https://api.example.com' },
  LOG_LEVEL: { rule: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'), example: 'info' },
  LOG_FORMAT: { rule: z.enum(['json', 'pretty']).optional(), example: 'json' },
  DOCS_ENABLED: { rule: flag.optional(), example: 'true' },
  METRICS_PORT: { rule: whole(0, 65535).optional(), example: '9464' },
  METRICS_TOKEN: {
    rule: z.string().min(16, 'must be at least 16 characters long').optional(),
    example: 'the output of: openssl rand -hex 24',
  },
  MAX_BODY_BYTES: { rule: whole(65_536, 1_073_741_824).default(10_000_000), example: '10000000' },
  BCRYPT_ROUNDS: { rule: whole(4, 16).default(12), example: '12' },
  ALLOW_INSECURE_CLUSTERS: { rule: flag.default(false), example: 'false' },
  CLUSTER_NAME: { rule: z.string().max(100, 'must be at most 100 characters long').optional(), example: 'production' },
  CLUSTER_REGION: { rule: z.enum(REGIONS, `must be one of ${REGIONS.join(', ')}`).default('us-east'), example: 'us-east' },
  CLUSTER_KUBECONFIG: { rule: z.string().optional(), example: './kubeconfig.yaml' },
  CLUSTER_DEFAULT: { rule: flag.default(false), example: 'true' },
  ORPHAN_AUTO_DELETE: { rule: flag.default(true), example: 'true' },
  WS_MAX_CONNECTIONS_PER_USER: { rule: whole(1, 10_000).default(5), example: '5' },
  WS_STALL_SECONDS: { rule: whole(30, 86_400).default(600), example: '600' },
  TERMINAL_BUFFER_BYTES: { rule: whole(4_096, 268_435_456).default(1_048_576), example: '1048576' },
  TERMINAL_MAX_SESSIONS_PER_ENVIRONMENT: { rule: whole(1, 10_000).default(8), example: '8' },
  TERMINAL_HOST_GRACE_SECONDS: { rule: whole(0, 86_400).default(60), example: '60' },
  SHUTDOWN_GRACE_SECONDS: { rule: whole(0, 600).default(20), example: '20' },
  LOCAL_RUNTIME_NETWORK: { rule: z.enum(['pasta', 'host', 'none']).optional(), example: 'pasta' },
  LOCAL_RUNTIME_ALLOW_UNSANDBOXED_USERS: { rule: flag.default(false), example: 'false' },
  LOCAL_RUNTIME_IN_PRODUCTION: { rule: flag.default(false), example: 'false' },
  EMBEDDED_DB_IN_PRODUCTION: { rule: flag.default(false), example: 'false' },
} as const;

export type VariableName = keyof typeof VARIABLES;
export type Variables = { readonly [Name in VariableName]: z.output<(typeof VARIABLES)[Name]['rule']> };
