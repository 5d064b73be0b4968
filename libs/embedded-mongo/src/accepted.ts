import { Refusal } from './errors';

/**
 * Everything this database accepts, in one table. What is not here is refused with MongoDB's own error; what is here is done as
 * MongoDB does it. For a command: its fields beside the general ones.
 */
export const ACCEPTED = {
  /** Fields of every command. `txnNumber`, `autocommit` and `startTransaction` are read to refuse transactions with code 20. */
  general: ['$db', '$readPreference', 'lsid'],
  commands: {
    /** MongoDB passes over whatever else a driver says in its handshake. */
    hello: null,
    ping: [],
    buildInfo: [],
    endSessions: [],
    find: ['filter', 'sort', 'projection', 'skip', 'limit', 'batchSize', 'singleBatch'],
    getMore: ['collection', 'batchSize'],
    killCursors: ['cursors'],
    insert: ['documents', 'ordered', 'writeConcern'],
    update: ['updates', 'ordered', 'writeConcern'],
    delete: ['deletes', 'ordered', 'writeConcern'],
    findAndModify: ['query', 'sort', 'remove', 'update', 'new', 'fields', 'upsert', 'writeConcern'],
    count: ['query', 'skip', 'limit'],
    aggregate: ['pipeline', 'cursor'],
    explain: ['verbosity'],
    create: ['writeConcern'],
    drop: ['writeConcern'],
    dropDatabase: ['writeConcern'],
    listDatabases: ['nameOnly'],
    listCollections: ['filter', 'cursor', 'nameOnly', 'authorizedCollections'],
    createIndexes: ['indexes', 'writeConcern'],
    listIndexes: ['cursor'],
    dropIndexes: ['index', 'writeConcern'],
  },
  updateStatement: ['q', 'u', 'multi', 'upsert'],
  deleteStatement: ['q', 'limit'],
  index: ['v', 'key', 'name', 'unique', 'partialFilterExpression', 'expireAfterSeconds', 'background'],
  query: [
    '$eq',
    '$ne',
    '$gt',
    '$gte',
    '$lt',
    '$lte',
    '$in',
    '$nin',
    '$exists',
    '$size',
    '$elemMatch',
    '$not',
    '$and',
    '$or',
    '$nor',
  ],
  update: ['$set', '$setOnInsert', '$unset', '$inc', '$min', '$max', '$push', '$pull', '$addToSet'],
  modifier: ['$each', '$slice'],
  stage: ['$match', '$group', '$sort', '$skip', '$limit'],
  accumulator: ['$sum'],
} as const;

export type Room = 'command' | 'query' | 'update' | 'modifier' | 'stage' | 'accumulator' | 'index' | `command.${string}`;

let sink: ((entry: string) => void) | undefined;
const seen = new Set<string>();

/** Reports the first use of each thing accepted as `room name`, and every refusal as `refused code message`. */
export function recordUses(to: ((entry: string) => void) | undefined): void {
  sink = to;
  seen.clear();
}

export function use(room: Room, name: string): void {
  if (!sink) return;
  const entry = `${room} ${name}`;
  if (seen.has(entry)) return;
  seen.add(entry);
  sink(entry);
}

/** Of what MongoDB itself would have done; errors that it answers too are none. */
export function recordRefusal(error: unknown): void {
  if (sink && error instanceof Refusal) sink(`refused ${error.code} ${error.message}`);
}
