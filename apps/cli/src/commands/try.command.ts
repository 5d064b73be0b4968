import { answered, ApiError, type EnvironmentView, RestClient } from '@devpocket/client';
import { Command, Option } from 'nest-commander';
import { setTimeout as delay } from 'node:timers/promises';
import { AccountFile, type LocalAccount, newLocalAccount } from '../account-file';
import { attachTerminal } from '../attach-terminal';
import { checkedUrl, CliSettings } from '../cli-settings';
import { type OutputOptions, report, ReportingCommand } from '../output';
import { UserError } from '../user-error';

interface TryOptions extends OutputOptions {
  readonly url?: string;
  readonly template?: string;
}

const NAME = 'try';

@Command({
  name: 'try',
  description: 'Register a local account, create an environment and type into its shell (with --json: without the shell)',
})
export class TryCommand extends ReportingCommand {
  constructor(private readonly settings: CliSettings) {
    super();
  }

  async run(_args: string[], options: TryOptions): Promise<void> {
    const url = options.url ?? this.settings.serverUrl();
    const client = new RestClient({ url });
    const username = await this.signIn(client, new AccountFile(this.settings.dataDir(), url));
    const environment = await this.running(client, options.template ?? 'ubuntu');
    if (options.json) return report(options, { url, username, environment }, '');
    process.stderr.write(`Connected to ${environment.name}. Leave with Ctrl-] (the shell goes on) or exit.\n`);
    process.exitCode = await attachTerminal({ client, environmentId: environment.id });
  }

  @Option({ flags: '--url <url>', description: 'where the server is (default: this machine, PORT)' })
  url(value: string): string {
    return checkedUrl(value);
  }

  @Option({ flags: '--template <name>', description: 'template of a new environment (default: ubuntu)' })
  template(value: string): string {
    return value;
  }

  /** @returns the username */
  private async signIn(client: RestClient, file: AccountFile): Promise<string> {
    const known = file.read();
    if (known && (await this.logIn(client, known))) return known.username;
    const account = newLocalAccount();
    try {
      await client.register(account);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'registration_closed') {
        throw new UserError(
          `${error.message}. Sign in with your own account: devpocket attach <environment> --username <name>`,
          4,
        );
      }
      throw reachable(error, client.url);
    }
    file.write(account);
    await client.login(account.username, account.password);
    process.stderr.write(`Registered ${account.username}\n`);
    return account.username;
  }

  /** False when the server does not know the account (its data was reset). */
  private async logIn(client: RestClient, account: LocalAccount): Promise<boolean> {
    try {
      await client.login(account.username, account.password);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === 'invalid_credentials') return false;
      throw reachable(error, client.url);
    }
  }

  private async running(client: RestClient, template: string): Promise<EnvironmentView> {
    let environment = (await client.environments()).find(({ name }) => name === NAME) ?? (await this.create(client, template));
    if (environment.status === 'stopped' || environment.status === 'error') {
      const params = { path: { id: environment.id } };
      ({ environment } = await answered(client.api.POST('/api/v1/environments/{id}/start', { params })));
    }
    while (environment.status !== 'running') {
      if (environment.status === 'error') {
        throw new UserError(
          `The environment did not start: ${environment.status_message ?? environment.status_reason ?? 'unknown reason'}`,
        );
      }
      await delay(100);
      environment = await client.environment(environment.id);
    }
    return environment;
  }

  private async create(client: RestClient, template: string): Promise<EnvironmentView> {
    const params = { header: { 'Idempotency-Key': crypto.randomUUID() } };
    return answered(client.api.POST('/api/v1/environments', { params, body: { name: NAME, template } }));
  }
}

/** A refused connection as a sentence that says what to do. */
export function reachable(error: unknown, url: string): unknown {
  if (!(error instanceof TypeError)) return error;
  return new UserError(`No server answers at ${url}. Start one with: npm start`, 5);
}
