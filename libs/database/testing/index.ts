import { randomBytes } from 'node:crypto';
import mongoose, { type Connection } from 'mongoose';

export interface TestDatabase {
  readonly connection: Connection;
  readonly url: string;
  readonly name: string;
  close(): Promise<void>;
}

/** A database of its own for one spec: on `MONGODB_URL` when it is set, else embedded in a temporary folder. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const url = process.env.MONGODB_URL;
  if (!url) throw new Error('The embedded database is not wired yet; set MONGODB_URL');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const connection = await mongoose.createConnection(url, { dbName: name, promoteValues: true }).asPromise();
  return {
    connection,
    url,
    name,
    close: async () => {
      await connection.dropDatabase();
      await connection.close();
    },
  };
}
