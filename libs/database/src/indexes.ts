import { type Connection } from 'mongoose';

/** Creates the indexes that the registered schemas name; those that are there already are left as they are. */
export async function ensureIndexes(connection: Connection): Promise<void> {
  for (const model of Object.values(connection.models)) await model.createIndexes();
}
