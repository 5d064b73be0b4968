import { randomBytes } from 'node:crypto';
import { type RawEnvironment, readVariables, type Settings, toSettings } from '../src';

/** Settings for a test: cheap passwords, any free port, no rate limits, keys of its own; `env` says what differs. */
export function testSettings(env: RawEnvironment & { readonly DATA_DIR: string }): Settings {
  const variables = readVariables({
    ENVIRONMENT: 'test',
    PORT: '0',
    BCRYPT_ROUNDS: '4',
    RATE_LIMIT_ENABLED: 'false',
    LOG_LEVEL: 'silent',
    MONGODB_URL: process.env.MONGODB_URL,
    ...env,
  });
  const settings = toSettings(
    variables,
    { secretKey: randomBytes(32).toString('hex'), encryptionKey: randomBytes(32) },
    '0.0.0-test',
  );
  return { ...settings, database: { ...settings.database, recordFile: process.env.DEVPOCKET_RECORD_COMMANDS ?? null } };
}
