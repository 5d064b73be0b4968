import { RestClient } from '@devpocket/client';
import { Command, CommandRunner, Option } from 'nest-commander';
import { AccountFile } from '../account-file';
import { attachTerminal } from '../attach-terminal';
import { checkedUrl, CliSettings } from '../cli-settings';
import { UserError } from '../user-error';
import { reachable } from './try.command';

const ID = /^[0-9a-f]{24}$/;

interface AttachFlags {
  readonly url?: string;
  readonly username?: string;
  readonly session?: string;
  readonly after?: number;
}

@Command({
  name: 'attach',
  arguments: '<environment>',
  description: "Join this terminal to an environment's shell (by name or id)",
})
export class AttachCommand extends CommandRunner {
  constructor(private readonly settings: CliSettings) {
    super();
  }

  async run([environment = '']: string[], flags: AttachFlags): Promise<void> {
    if (flags.after !== undefined && flags.session === undefined) throw new UserError('--after needs --session', 2);
    const url = flags.url ?? this.settings.serverUrl();
    const apiKey = flags.username === undefined ? this.settings.apiKey() : null;
    const client = new RestClient({ url, ...(apiKey === null ? {} : { apiKey }) });
    try {
      if (apiKey === null) await this.signIn(client, flags.username);
      const environmentId = await this.find(client, environment);
      const session = flags.session === undefined ? {} : { sessionId: flags.session };
      const after = flags.after === undefined ? {} : { after: flags.after };
      process.exitCode = await attachTerminal({ client, environmentId, ...session, ...after });
    } catch (error) {
      throw reachable(error, url);
    }
  }

  /** An id needs no look: a key that may only use terminals has none. */
  private async find(client: RestClient, environment: string): Promise<string> {
    if (ID.test(environment)) return environment;
    const found = (await client.environments()).find(({ name }) => name === environment.toLowerCase());
    if (!found) throw new UserError(`There is no environment "${environment}"`, 3);
    return found.id;
  }

  @Option({ flags: '--url <url>', description: 'where the server is (default: this machine, PORT)' })
  url(value: string): string {
    return checkedUrl(value);
  }

  @Option({
    flags: '--username <name>',
    description:
      'account; its password is read from DEVPOCKET_PASSWORD (default: the API key in DEVPOCKET_API_KEY, or the account of `try`)',
  })
  username(value: string): string {
    return value;
  }

  @Option({ flags: '--session <id>', description: 'an existing session (default: a new one)' })
  session(value: string): string {
    return value;
  }

  @Option({
    flags: '--after <bytes>',
    description: 'output of the session that is already shown (default: none, all that is kept)',
  })
  after(value: string): number {
    const bytes = Number(value);
    if (!/^\d+$/.test(value) || !Number.isSafeInteger(bytes)) throw new UserError('--after must be a count of bytes', 2);
    return bytes;
  }

  private async signIn(client: RestClient, username: string | undefined): Promise<void> {
    if (username !== undefined) {
      const password = this.settings.password();
      if (password === null) throw new UserError('Set DEVPOCKET_PASSWORD to the password of this account', 2);
      await client.login(username, password);
      return;
    }
    const account = new AccountFile(this.settings.dataDir(), client.url).read();
    if (!account) throw new UserError('Name an account with --username, or make one with: devpocket try', 2);
    await client.login(account.username, account.password);
  }
}
