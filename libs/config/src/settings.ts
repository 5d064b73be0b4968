import { type Region } from '@devpocket/kernel';
import { resolve } from 'node:path';
import { type VariableName, VARIABLES, type Variables } from './variables';

export type Environment = 'development' | 'production' | 'test';

/*
 * Each slice is a type and an injection token at once; the values come from `parseSettings` and nowhere else.
 */
export abstract class AppSettings {
  abstract readonly environment: Environment;
  /** Lets a 500 tell of the inside. */
  abstract readonly debug: boolean;
  /** Absolute. */
  abstract readonly dataDir: string;
  abstract readonly version: string;
}

export abstract class HttpSettings {
  abstract readonly host: string;
  abstract readonly port: number;
  abstract readonly allowedOrigins: readonly string[];
  abstract readonly trustedProxies: readonly string[];
  abstract readonly maxBodyBytes: number;
  abstract readonly docsEnabled: boolean;
  abstract readonly metricsPort: number | null;
  abstract readonly metricsToken: string | null;
  abstract readonly shutdownGraceSeconds: number;
  /** Where clients reach the server, without a trailing slash; null when unset. */
  abstract readonly publicUrl: string | null;
}

export abstract class LogSettings {
  abstract readonly level: string;
  abstract readonly format: 'json' | 'pretty';
}

export abstract class DatabaseSettings {
  /** Where the embedded database notes what it is asked for; tests only. */
  abstract readonly recordFile: string | null;
  /** Null: the embedded database in `dataDir`. */
  abstract readonly url: string | null;
  abstract readonly name: string;
  abstract readonly dataDir: string;
}

export abstract class SharedStateSettings {
  /** Null: in memory. */
  abstract readonly redisUrl: string | null;
  /** Where other replicas find this one. Null: at loopback where HOST is that, else at the machine's first address. */
  abstract readonly replicaHost: string | null;
  /** 0: any free one. */
  abstract readonly replicaPort: number;
}

export abstract class AuthSettings {
  /** The HS256 key, as it stands. Also the root of the HMAC keys of tokens, lockout names and idempotency bodies. */
  abstract readonly secretKey: string;
  abstract readonly accessTokenMinutes: number;
  abstract readonly refreshTokenDays: number;
  abstract readonly refreshGraceSeconds: number;
  abstract readonly bcryptRounds: number;
  /** Without SMTP accounts are verified at once. */
  abstract readonly verifiesEmail: boolean;
}

/** What a sign-in in a browser needs beside the client id. */
export interface GoogleRedirectSettings {
  readonly clientSecret: string;
  /** Where Google sends the browser back to: the callback route, as it is registered there. */
  readonly redirectUri: string;
  /** Where a finished sign-in ends, with `code` or `error` added: the app's own address. */
  readonly successRedirect: string;
}

export abstract class GoogleSettings {
  /** Without a trailing slash. */
  abstract readonly issuer: string;
  /** Null: no Google sign-in. */
  abstract readonly clientId: string | null;
  /** Null: by ID token alone. */
  abstract readonly redirect: GoogleRedirectSettings | null;
  /** Do browsers reach the server by https? */
  abstract readonly secureCookie: boolean;
}

export abstract class MailSettings {
  /** With credentials; null: mails are written into the data folder. */
  abstract readonly smtpUrl: string | null;
  abstract readonly from: string;
  abstract readonly dataDir: string;
  /** Where links in mails lead; null: mails have codes alone. */
  abstract readonly publicUrl: string | null;
}

export abstract class EncryptionSettings {
  /** 32 bytes, AES-256-GCM. */
  abstract readonly encryptionKey: Buffer;
  /** Earlier keys: what is sealed under them can still be opened, and is sealed anew by a rotation. */
  abstract readonly oldEncryptionKeys: readonly Buffer[];
}

export abstract class ClusterSettings {
  /** May a cluster's certificate go unchecked? */
  abstract readonly allowInsecure: boolean;
  /** The cluster that the environment describes: of this pod, or for `cluster add --from-env`. */
  abstract readonly name: string | null;
  abstract readonly region: Region;
  /** A path, or the kubeconfig itself as base64. Secret. */
  abstract readonly kubeConfig: string | null;
  abstract readonly isDefault: boolean;
  /** Address of the API server of the cluster that this server is a pod of; null elsewhere. */
  abstract readonly ownApiServer: string | null;
}

export abstract class RateLimitSettings {
  abstract readonly enabled: boolean;
  abstract readonly perMinute: number;
  abstract readonly authPerMinute: number;
}

export abstract class RuntimeSettings {
  abstract readonly runtime: 'auto' | 'local' | 'docker' | 'kubernetes';
  /** May users' processes run on this machine itself? In production only when told to. */
  abstract readonly localAllowed: boolean;
  abstract readonly allowCustomImages: boolean;
  abstract readonly allowedImagePatterns: readonly string[];
  abstract readonly dataDir: string;
  /** Is what belongs to no environment removed by itself, once it is old enough? */
  abstract readonly orphanAutoDelete: boolean;
  /** Null: chosen by what the machine has. */
  abstract readonly localNetwork: 'pasta' | 'host' | 'none' | null;
  abstract readonly localAllowUnsandboxedUsers: boolean;
  abstract readonly terminalBufferBytes: number;
  abstract readonly terminalHostGraceSeconds: number;
  /** The container engine, as the docker command is told of it. */
  abstract readonly docker: DockerSettings;
}

export interface DockerSettings {
  /** `unix:///path`, `tcp://host[:port]`, `http://…` or `https://…`. */
  readonly host: string;
  readonly tlsVerify: boolean;
  /** A folder with `ca.pem`, `cert.pem` and `key.pem`; null: the system's authorities, and no certificate of its own. */
  readonly certPath: string | null;
  /** A folder with the `config.json` that `docker login` writes; null: images are fetched in nobody's name. */
  readonly configPath: string | null;
}

export abstract class TerminalSettings {
  abstract readonly bufferBytes: number;
  abstract readonly maxSessionsPerEnvironment: number;
  abstract readonly maxConnectionsPerUser: number;
  abstract readonly stallSeconds: number;
}

export interface Settings {
  readonly app: AppSettings;
  readonly http: HttpSettings;
  readonly log: LogSettings;
  readonly database: DatabaseSettings;
  readonly sharedState: SharedStateSettings;
  readonly mail: MailSettings;
  readonly auth: AuthSettings;
  readonly google: GoogleSettings;
  readonly encryption: EncryptionSettings;
  readonly clusters: ClusterSettings;
  readonly rateLimit: RateLimitSettings;
  readonly runtime: RuntimeSettings;
  readonly terminal: TerminalSettings;
}

/** Keys that are made once and kept when no variable gives them. */
export interface KeptKeys {
  readonly secretKey: string;
  readonly encryptionKey: Buffer;
}

/** Where the process runs, beside what variables of ours say. */
export interface Surroundings {
  readonly ownApiServer: string | null;
}

const NOWHERE: Surroundings = { ownApiServer: null };

/** One message that lists every faulty variable. It never repeats the value of a variable that may hold a secret. */
export class SettingsError extends Error {
  constructor(readonly faults: readonly { readonly variable: string; readonly problem: string; readonly example: string }[]) {
    const lines = faults.map(({ variable, problem, example }) => `  ${variable} ${problem} (example: ${variable}=${example})`);
    super(`The configuration is not valid:\n${lines.join('\n')}`);
    this.name = 'SettingsError';
  }
}

export type RawEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * The variables of `env` by their rules; an empty value counts as unset.
 * @throws SettingsError listing all that is wrong
 */
export function readVariables(env: RawEnvironment): Variables {
  const faults: { variable: string; problem: string; example: string }[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, { rule, example }] of Object.entries(VARIABLES)) {
    const result = rule.safeParse(env[name] === '' ? undefined : env[name]);
    if (result.success) values[name] = result.data;
    else faults.push({ variable: name, problem: result.error.issues.map((issue) => issue.message).join('; '), example });
  }
  const fault = (variable: VariableName, problem: string): number =>
    faults.push({ variable, problem, example: VARIABLES[variable].example });
  // A cast by construction: each name has its rule's output, or there is a fault and nobody sees the value.
  const variables = values as unknown as Variables;
  for (const { variable, problem } of googleFaults(env)) fault(variable, problem);
  if (variables.ENVIRONMENT === 'production') {
    if (!env.SECRET_KEY) fault('SECRET_KEY', 'must be set in production');
    if (!env.ENCRYPTION_KEY) fault('ENCRYPTION_KEY', 'must be set in production');
    if (variables.RUNTIME === 'local' && !variables.LOCAL_RUNTIME_IN_PRODUCTION) {
      fault('RUNTIME', 'is local, which production refuses unless LOCAL_RUNTIME_IN_PRODUCTION=true');
    }
    if (variables.MONGODB_URL === undefined && !variables.EMBEDDED_DB_IN_PRODUCTION) {
      fault('MONGODB_URL', 'must be set in production unless EMBEDDED_DB_IN_PRODUCTION=true');
    }
    // Whoever can change what is read from it makes identities.
    if (/^http:\/\/(?!localhost[:/]|127\.|\[::1\])/i.test(`${variables.GOOGLE_ISSUER}/`)) {
      fault('GOOGLE_ISSUER', 'must be https in production');
    }
  }
  if (faults.length > 0) throw new SettingsError(faults);
  return variables;
}

/** The client id alone serves ID tokens; what the browser's way needs beside it is set as a whole or not at all. */
const GOOGLE_REDIRECT = ['GOOGLE_CLIENT_SECRET', 'GOOGLE_REDIRECT_URI', 'GOOGLE_SUCCESS_REDIRECT'] as const;

function googleFaults(env: RawEnvironment): readonly { readonly variable: VariableName; readonly problem: string }[] {
  const given = GOOGLE_REDIRECT.filter((name) => env[name]);
  if (given.length === 0) return [];
  const wanted = ['GOOGLE_CLIENT_ID', ...GOOGLE_REDIRECT] as const;
  const absent = wanted.filter((name) => !env[name]);
  return absent.map((variable) => ({ variable, problem: `must be set beside ${given.join(' and ')}` }));
}

function googleSettings(v: Variables): GoogleSettings {
  const { GOOGLE_CLIENT_SECRET: clientSecret, GOOGLE_REDIRECT_URI: redirectUri, GOOGLE_SUCCESS_REDIRECT: successRedirect } = v;
  const whole = clientSecret !== undefined && redirectUri !== undefined && successRedirect !== undefined;
  return {
    issuer: v.GOOGLE_ISSUER.replace(/\/+$/, ''),
    clientId: v.GOOGLE_CLIENT_ID ?? null,
    redirect: whole ? { clientSecret, redirectUri, successRedirect } : null,
    secureCookie: [v.PUBLIC_URL, redirectUri].some((address) => address?.startsWith('https:')),
  };
}

export function toSettings(variables: Variables, keys: KeptKeys, version: string, machine: Surroundings = NOWHERE): Settings {
  const v = variables;
  const dataDir = resolve(v.DATA_DIR);
  return {
    app: { environment: v.ENVIRONMENT, debug: v.DEBUG, dataDir, version },
    http: {
      host: v.HOST,
      port: v.PORT,
      allowedOrigins: v.ALLOWED_ORIGINS,
      trustedProxies: v.TRUSTED_PROXIES,
      maxBodyBytes: v.MAX_BODY_BYTES,
      docsEnabled: v.DOCS_ENABLED ?? v.ENVIRONMENT !== 'production',
      metricsPort: v.METRICS_PORT ?? null,
      metricsToken: v.METRICS_TOKEN ?? null,
      shutdownGraceSeconds: v.SHUTDOWN_GRACE_SECONDS,
      publicUrl: v.PUBLIC_URL?.replace(/\/+$/, '') ?? null,
    },
    log: { level: v.LOG_LEVEL, format: v.LOG_FORMAT ?? (v.ENVIRONMENT === 'development' ? 'pretty' : 'json') },
    database: { url: v.MONGODB_URL ?? null, name: v.DATABASE_NAME, dataDir, recordFile: null },
    sharedState: { redisUrl: v.REDIS_URL ?? null, replicaHost: v.REPLICA_HOST ?? null, replicaPort: v.REPLICA_PORT },
    auth: {
      secretKey: keys.secretKey,
      accessTokenMinutes: v.ACCESS_TOKEN_EXPIRE_MINUTES,
      refreshTokenDays: v.REFRESH_TOKEN_EXPIRE_DAYS,
      refreshGraceSeconds: v.REFRESH_GRACE_SECONDS,
      bcryptRounds: v.BCRYPT_ROUNDS,
      verifiesEmail: v.SMTP_URL !== undefined,
    },
    google: googleSettings(v),
    mail: { smtpUrl: v.SMTP_URL ?? null, from: v.MAIL_FROM, dataDir, publicUrl: v.PUBLIC_URL?.replace(/\/+$/, '') ?? null },
    encryption: { encryptionKey: keys.encryptionKey, oldEncryptionKeys: v.ENCRYPTION_KEYS_OLD },
    clusters: {
      allowInsecure: v.ALLOW_INSECURE_CLUSTERS,
      name: v.CLUSTER_NAME ?? null,
      region: v.CLUSTER_REGION,
      kubeConfig: v.CLUSTER_KUBECONFIG ?? null,
      isDefault: v.CLUSTER_DEFAULT,
      ownApiServer: machine.ownApiServer,
    },
    rateLimit: { enabled: v.RATE_LIMIT_ENABLED, perMinute: v.RATE_LIMIT_PER_MINUTE, authPerMinute: v.AUTH_RATE_LIMIT_PER_MINUTE },
    runtime: {
      runtime: v.RUNTIME,
      localAllowed: v.ENVIRONMENT !== 'production' || v.LOCAL_RUNTIME_IN_PRODUCTION,
      allowCustomImages: v.ALLOW_CUSTOM_IMAGES,
      allowedImagePatterns: v.ALLOWED_IMAGE_PATTERNS,
      dataDir,
      orphanAutoDelete: v.ORPHAN_AUTO_DELETE,
      localNetwork: v.LOCAL_RUNTIME_NETWORK ?? null,
      localAllowUnsandboxedUsers: v.LOCAL_RUNTIME_ALLOW_UNSANDBOXED_USERS,
      terminalBufferBytes: v.TERMINAL_BUFFER_BYTES,
      terminalHostGraceSeconds: v.TERMINAL_HOST_GRACE_SECONDS,
      docker: {
        host: v.DOCKER_HOST,
        tlsVerify: v.DOCKER_TLS_VERIFY,
        certPath: v.DOCKER_CERT_PATH ?? null,
        configPath: v.DOCKER_CONFIG ?? null,
      },
    },
    terminal: {
      bufferBytes: v.TERMINAL_BUFFER_BYTES,
      maxSessionsPerEnvironment: v.TERMINAL_MAX_SESSIONS_PER_ENVIRONMENT,
      maxConnectionsPerUser: v.WS_MAX_CONNECTIONS_PER_USER,
      stallSeconds: v.WS_STALL_SECONDS,
    },
  };
}
