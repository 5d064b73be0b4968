import { packageVersion } from '@devpocket/config';
import { CommandFactory } from 'nest-commander';
import { CliModule } from './cli.module';
import { CommandTree, isCommandLineError } from './command-tree';
import { print } from './output';
import { EXIT, tell } from './user-error';

/** Known before the command line is read, for what cannot be read. */
const json = process.argv.includes('--json');

function fail(error: unknown): void {
  if (isCommandLineError(error)) {
    process.exitCode = error.exitCode === 0 ? EXIT.done : EXIT.badInput;
    if (json && error.exitCode !== 0) {
      const message = error.message.replace(/^error: /, '');
      print({ ok: false, data: null, error: { code: 'bad_input', message, exit_code: EXIT.badInput, errors: [] } });
    }
    return;
  }
  const told = tell(error);
  process.exitCode = told?.exitCode ?? EXIT.internal;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (!told || !json) process.stderr.write(`${told?.message ?? stack}\n`);
  if (!json) return;
  const internal = { code: 'internal', message: 'A fault of DevPocket itself', exit_code: EXIT.internal, errors: [] };
  print({ ok: false, data: told?.data ?? null, error: told?.error ?? internal });
}

async function main(): Promise<void> {
  const app = await CommandFactory.createWithoutRunning(CliModule, {
    logger: false,
    cliName: 'devpocket',
    version: packageVersion(),
    serviceErrorHandler: fail,
  });
  app.get(CommandTree).makeStrict(json);
  await CommandFactory.runApplication(app);
  await app.close();
}

main()
  .catch(fail)
  .finally(() => process.exit());
