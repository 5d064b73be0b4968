import { type KeptKeySources, keptKeySources, loadSettings, type Settings } from '@devpocket/config';
import { Injectable } from '@nestjs/common';
import { resolve } from 'node:path';
import { UserError } from './user-error';

/** @throws UserError for what is no address of a server */
export function checkedUrl(text: string): string {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol)) return text;
  throw new UserError(`--url must be the address of a server, as http://127.0.0.1:8000; given: ${text}`, 2);
}

/** The settings, read when a command first needs them: `--help` works beside a broken configuration. */
@Injectable()
export class CliSettings {
  private loaded: Settings | null = null;

  get(): Settings {
    this.loaded ??= loadSettings({ LOG_LEVEL: 'warn', ...process.env });
    return this.loaded;
  }

  /** Which keys are in DATA_DIR, because no variable gives them. */
  keptKeys(): KeptKeySources {
    return keptKeySources();
  }

  /** The file of variables, whether it is there or not. */
  envFile(): string {
    return resolve(process.env.ENV_FILE || '.env');
  }

  dataDir(): string {
    return this.get().app.dataDir;
  }

  /** Where a server of these settings listens. */
  serverUrl(): string {
    const { host, port } = this.get().http;
    const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
  }

  /** In place of an account; kept off the command line as a password is. */
  apiKey(): string | null {
    return process.env.DEVPOCKET_API_KEY || null;
  }

  /** A password never stands on a command line, where every user of the machine could read it. */
  password(): string | null {
    return process.env.DEVPOCKET_PASSWORD || null;
  }
}
