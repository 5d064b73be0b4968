import { CommandFactory } from 'nest-commander';
import { CliModule } from './cli.module';
import { tell } from './user-error';

const BAD_INPUT = 2;

function fail(error: unknown): void {
  const told = tell(error);
  process.stderr.write(
    told ? `${told.message}\n` : `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exitCode = told?.exitCode ?? 70;
}

async function main(): Promise<void> {
  const app = await CommandFactory.createWithoutRunning(CliModule, {
    logger: false,
    cliName: 'devpocket',
    serviceErrorHandler: fail,
  });
  await CommandFactory.runApplication(app);
  await app.close();
}

let ended = false;
// Commander ends the process by itself, with 1, for a command line that it cannot read.
process.on('exit', (code) => {
  if (!ended && code === 1) process.exitCode = BAD_INPUT;
});
main()
  .catch(fail)
  .finally(() => {
    ended = true;
    process.exit();
  });
