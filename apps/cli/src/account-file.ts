import { hasCode } from '@devpocket/kernel';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { UserError } from './user-error';

/** The account that `devpocket try` made on one server. */
export interface LocalAccount {
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

/** Keeps the account of `try` in DATA_DIR, readable by its owner only. */
export class AccountFile {
  private readonly file: string;

  constructor(
    private readonly dataDir: string,
    serverUrl: string,
  ) {
    this.file = join(dataDir, `try-${new URL(serverUrl).host.replace(/[^A-Za-z0-9.-]/g, '_')}.json`);
  }

  read(): LocalAccount | null {
    let text: string;
    try {
      text = readFileSync(this.file, 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    }
    const account = parse(text);
    if (!account) throw new UserError(`${this.file} holds no account. Remove it, and \`try\` makes a new one`, 2);
    return account;
  }

  write(account: LocalAccount): void {
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    const draft = `${this.file}.${process.pid}`;
    writeFileSync(draft, JSON.stringify(account), { mode: 0o600, flush: true });
    renameSync(draft, this.file);
  }
}

function parse(text: string): LocalAccount | null {
  try {
    const { username, email, password } = JSON.parse(text) as Record<keyof LocalAccount, unknown>;
    if (typeof username !== 'string' || typeof email !== 'string' || typeof password !== 'string') return null;
    return { username, email, password };
  } catch {
    return null;
  }
}

/** A new account named after the person at this machine. */
export function newLocalAccount(): LocalAccount {
  const suffix = randomBytes(3).toString('hex');
  const name =
    userInfo()
      .username.replace(/[^A-Za-z0-9_-]/g, '')
      .slice(0, 20) || 'dev';
  const username = `${name}-${suffix}`;
  return { username, email: `${username}@localhost.localdomain`, password: `Aa1-${randomBytes(18).toString('base64url')}` };
}
