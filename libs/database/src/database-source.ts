import { type DatabaseSettings } from '@devpocket/config';
import { openSnapshot } from '@devpocket/embedded-mongo';
import { type Connection, type mongo } from 'mongoose';
import { type ArchivedCollection, type CollectionCount } from './archive';
import { type DatabaseHandle, folderOf } from './open-database';

/** All documents of a database, to be read once. */
export interface DatabaseSource {
  readonly kind: 'embedded' | 'mongodb';
  /** Does it show everything as it was at one instant? */
  readonly consistent: boolean;
  readonly counts: readonly CollectionCount[];
  readonly collections: Iterable<ArchivedCollection>;
  close(): Promise<void>;
}

export async function openSource(
  handle: DatabaseHandle,
  connection: Connection,
  settings: DatabaseSettings,
): Promise<DatabaseSource> {
  return handle.kind === 'mongodb' ? mongoSource(connection) : embeddedSource(settings);
}

function embeddedSource({ dataDir, name }: DatabaseSettings): DatabaseSource {
  const snapshot = openSnapshot(folderOf(dataDir), name);
  return {
    kind: 'embedded',
    consistent: true,
    counts: snapshot.collections,
    collections: snapshot.collections.map((one) => ({ name: one.name, documents: snapshot.documents(one.name) })),
    close: () => Promise.resolve(snapshot.close()),
  };
}

/** A replica set and a sharded cluster have snapshots (of the last five minutes); a standalone server has none. */
async function mongoSource(connection: Connection): Promise<DatabaseSource> {
  const { db } = connection;
  if (!db) throw new Error('The database is not connected');
  const hello = await db.command({ hello: 1 });
  const consistent = hello.setName !== undefined || hello.msg === 'isdbgrid';
  const session = consistent ? connection.getClient().startSession({ snapshot: true }) : undefined;
  const options = session ? { session } : {};
  const names = (await db.listCollections({}, { nameOnly: true }).toArray())
    .filter(({ name, type }) => type === 'collection' && !name.startsWith('system.'))
    .map(({ name }) => name)
    .sort();
  const counts: CollectionCount[] = [];
  for (const name of names) counts.push({ name, count: await db.collection(name).countDocuments({}, options) });
  // `raw` gives the bytes as they came; the driver's types do not say so.
  const documents = (name: string) => db.collection(name).find({}, { ...options, raw: true }) as mongo.FindCursor<unknown>;
  return {
    kind: 'mongodb',
    consistent,
    counts,
    collections: names.map((name) => ({ name, documents: documents(name) as AsyncIterable<Uint8Array> })),
    close: async () => session?.endSession(),
  };
}
