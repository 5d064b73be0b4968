import { appendFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { recordUses } from './accepted';
import { Engine } from './engine';
import { DATABASE, type FromWorker, type WorkerOptions } from './messages';
import { SocketServer } from './server';

/** The thread in which storage, commands and the socket live: neither a scan nor an fsync is felt outside it. */
async function main(port: MessagePort, { directory, socketPath, ttlIntervalMs, recordFile }: WorkerOptions): Promise<void> {
  const tell = (message: FromWorker): void => port.postMessage(message);
  const log = (message: string): void => tell({ kind: 'log', message });
  if (recordFile !== undefined) recordUses((entry) => appendFileSync(recordFile, `${entry}\n`));
  const engine = new Engine(join(directory, DATABASE));
  const server = new SocketServer(engine, log);
  await server.listen(socketPath);
  chmodSync(socketPath, 0o600);
  const monitor = setInterval(() => {
    try {
      const expired = engine.expire();
      engine.catalog.commit();
      if (expired > 0) log(`${expired} expired documents were deleted`);
    } catch (error) {
      engine.catalog.rollback();
      log(`the TTL monitor failed: ${String(error)}`);
    }
  }, ttlIntervalMs);
  port.once('message', () => {
    clearInterval(monitor);
    void server.close().then(() => {
      engine.close();
      port.close();
    });
  });
  tell({ kind: 'ready' });
}

if (!parentPort) throw new Error('to be started as a worker thread');
void main(parentPort, workerData as WorkerOptions);
