/**
 * The server as a process of its own, whole but for its runtime, which is the one in memory: what is fuzzed is the API, and not
 * the machine. On SIGUSR2 it collects garbage and prints what is left.
 */
import { RegistrationService } from '@devpocket/auth';
import { loadSettings } from '@devpocket/config';
import { SystemClock } from '@devpocket/kernel';
import { UsersService } from '@devpocket/users';
import { FakeClusterInspector, FakeDriver } from '@testing/runtime';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { startServer } from '../../apps/api/src/server';

async function main(): Promise<void> {
  const clock = new SystemClock();
  const drivers = () => Promise.resolve([new FakeDriver({ clock })]);
  const { app } = await startServer(loadSettings(), { drivers, inspector: new FakeClusterInspector() });
  const users = app.get(UsersService);
  const root = { username: 'root', email: 'root@example.com', password: process.env.ROOT_PASSWORD ?? '' };
  const { id } = await app.get(RegistrationService).register({ ...root, fullName: null, preferredRegion: null });
  await users.promote(id);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  process.on('SIGUSR2', () => {
    collect();
    process.stdout.write(`${JSON.stringify({ memory: process.memoryUsage() })}\n`);
  });
  process.on('SIGTERM', () => process.exit(0));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
