import { loadSettings } from '@devpocket/config';
import { runtimesOf } from './runtime-drivers';
import { type RunningServer, startServer } from './server';

let debug = false;

async function main(): Promise<void> {
  const settings = loadSettings();
  debug = settings.app.debug;
  const server = await startServer(settings, runtimesOf(settings));
  greet(server);
  let stopping = false;
  const stop = (signal: 'SIGINT' | 'SIGTERM'): void => {
    if (stopping) return;
    stopping = true;
    server.stop(signal).then(
      () => process.exit(0),
      (error: unknown) => fail('DevPocket did not stop cleanly: ', error),
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

/** A sentence for the person who started it; the stack only with DEBUG=true. */
function fail(prefix: string, error: unknown): never {
  const message = error instanceof Error ? ((debug ? error.stack : undefined) ?? error.message) : String(error);
  process.stderr.write(`${prefix}${message}\n`);
  process.exit(1);
}

main().catch((error: unknown) => fail('', error));
