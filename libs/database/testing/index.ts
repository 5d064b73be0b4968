import { startEmbeddedMongo } from '@devpocket/embedded-mongo';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mongoose, { type Connection } from 'mongoose';

export interface TestDatabase {
  readonly connection: Connection;
  readonly url: string;
  readonly name: string;
  close(): Promise<void>;
}

/** A database of its own for one spec: on `MONGODB_URL` when it is set, else embedded in a temporary folder. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const { url, release } = await place();
  const name = `test_${randomBytes(6).toString('hex')}`;
  const connection = await mongoose.createConnection(url, { dbName: name, retryWrites: false }).asPromise();
  return {
    connection,
    url,
    name,
    close: async () => {
      await connection.dropDatabase();
      await connection.close();
      await release();
    },
  };
}

async function place(): Promise<{ url: string; release: () => Promise<void> }> {
  const given = process.env.MONGODB_URL;
  if (given) return { url: given, release: () => Promise.resolve() };
  const directory = mkdtempSync(join(tmpdir(), 'devpocket-db-'));
  const server = await startEmbeddedMongo({ directory, ...recordFile() });
  return {
    url: server.url,
    release: async () => {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Where the suite collects what it asks of the embedded database. */
function recordFile(): { recordFile?: string } {
  const file = process.env.DEVPOCKET_RECORD_COMMANDS;
  return file ? { recordFile: file } : {};
}
