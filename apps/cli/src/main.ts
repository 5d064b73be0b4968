import { CommandFactory } from 'nest-commander';
import { CliModule } from './cli.module';
import { tell } from './user-error';

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

main().then(
  () => process.exit(),
  (error: unknown) => {
    fail(error);
    process.exit();
  },
);
