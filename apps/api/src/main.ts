import { loadSettings, SettingsError } from '@devpocket/config';
import { runtimeDrivers } from './runtime-drivers';
import { type RunningServer, startServer } from './server';

async function main(): Promise<void> {
  const settings = loadSettings();
  const server = await startServer(settings, () => runtimeDrivers(settings.runtime));
  greet(server);
  let stopping = false;
  const stop = (signal: 'SIGINT' | 'SIGTERM'): void => {
    if (stopping) return;
    stopping = true;
    server.stop(signal).then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`DevPocket did not stop cleanly: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGTERM', () => stop('SIGTERM'));
}

function greet({ summary, warnings }: RunningServer): void {
  const lines = [
    '',
    'DevPocket is ready',
    ...summary.map((line) => `  ${line}`),
    ...warnings.map((line) => `  ! ${line}`),
    '',
    'Try it, in another terminal:  npx devpocket try',
    '',
  ];
  process.stdout.write(lines.join('\n') + '\n');
}

main().catch((error: unknown) => {
  const told = error instanceof SettingsError || (error instanceof Error && !process.env.DEBUG);
  process.stderr.write(
    told
      ? `${error instanceof Error ? error.message : ''}\n`
      : `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
