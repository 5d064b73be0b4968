import { appendFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { recordUses } from './accepted';
import { Engine } from './engine';
import { type FromWorker, type ToWorker, type WorkerOptions } from './messages';
import { SocketServer } from './server';

const DATABASE = 'database.sqlite';

/** The thread in which storage, commands and the socket live: neither a scan nor an fsync is felt outside it. */
async function main(port: NonNullable<typeof parentPort>, options: WorkerOptions): Promise<void> {
  const tell = (message: FromWorker): void => port.postMessage(message);
  const { recordFile } = options;
  if (recordFile !== undefined) recordUses((entry) => appendFileSync(recordFile, `${entry}\n`));
  const file = join(options.directory, DATABASE);
  const engine = new Engine(file);
  const log = (message: string): void => tell({ kind: 'log', message });
  const server = new SocketServer(engine, log);
  await server.listen(options.socketPath);
  chmodSync(options.socketPath, 0o600);

  const monitor = setInterval(() => {
    try {
      const expired = engine.expire();
      engine.catalog.commit();
      if (expired > 0) log(`${expired} expired documents were deleted`);
    } catch (error) {
      engine.catalog.rollback();
      log(`the TTL monitor failed: ${String(error)}`);
    }
  }, options.ttlIntervalMs);

  const answer = async (message: ToWorker): Promise<void> => {
    if (message.kind === 'backup') {
      const source = new DatabaseSync(file, { readOnly: true });
      try {
        await backup(source, message.file);
      } finally {
        source.close();
      }
      return;
    }
    clearInterval(monitor);
    await server.close();
    engine.close();
  };
  port.on('message', (message: ToWorker) => {
    answer(message).then(
      () => {
        tell({ kind: 'done', id: message.id });
        if (message.kind === 'close') port.close();
      },
      (error: unknown) => tell({ kind: 'failed', id: message.id, error: String(error) }),
    );
  });
  tell({ kind: 'ready' });
}

if (!parentPort) throw new Error('to be started as a worker thread');
void main(parentPort, workerData as WorkerOptions);
