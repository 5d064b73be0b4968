import { Refusal } from './errors';

/**
 * Everything this database accepts, in one table. What is not here is refused with MongoDB's own error; what is here is done as
 * MongoDB does it.
 */
export const ACCEPTED = {
  /** Commands and their fields, beside those of every command; null: whatever a driver says (as MongoDB, in the handshake). */
  commands: {
    hello: null,
    ping: [],
    buildInfo: [],
    endSessions: ['writeConcern'],
    find: ['filter', 'sort', 'projection', 'limit', 'batchSize', 'singleBatch'],
    getMore: ['collection', 'batchSize'],
    killCursors: ['cursors'],
    insert: ['documents', 'ordered', 'writeConcern'],
    update: ['updates', 'ordered', 'writeConcern'],
    delete: ['deletes', 'ordered', 'writeConcern'],
    findAndModify: ['query', 'remove', 'update', 'new', 'upsert', 'writeConcern'],
    aggregate: ['pipeline', 'cursor'],
    explain: ['verbosity'],
    create: ['writeConcern'],
    dropDatabase: ['writeConcern'],
    listDatabases: ['nameOnly'],
    listCollections: ['filter', 'cursor', 'nameOnly', 'authorizedCollections'],
    createIndexes: ['indexes', 'writeConcern'],
    listIndexes: ['cursor'],
    dropIndexes: ['index', 'writeConcern'],
  },
  general: ['$db', '$readPreference', 'lsid'],
  updateStatement: ['q', 'u', 'multi', 'upsert'],
  deleteStatement: ['q', 'limit'],
  index: ['key', 'name', 'unique', 'partialFilterExpression', 'expireAfterSeconds'],
  query: ['$ne', '$gt', '$gte', '$lt', '$lte', '$in', '$exists', '$or'],
  update: ['$set', '$setOnInsert', '$unset', '$inc', '$max'],
  stage: ['$match', '$group'],
  accumulator: ['$sum'],
} as const satisfies Readonly<Record<string, readonly string[] | Readonly<Record<string, readonly string[] | null>>>>;

export type Room = 'query' | 'update' | 'stage' | 'accumulator' | 'index' | 'updateStatement' | 'deleteStatement';

let sink: ((entry: string) => void) | undefined;
const seen = new Set<string>();

/** Reports the first use of each thing accepted as `room name`, and every refusal as `refused code message`. */
export function recordUses(to: ((entry: string) => void) | undefined): void {
  sink = to;
  seen.clear();
}

export function use(room: Room | 'command' | `command.${string}`, name: string): void {
  if (!sink) return;
  const entry = `${room} ${name}`;
  if (seen.has(entry)) return;
  seen.add(entry);
  sink(entry);
}

/** Marks the use of something if it is accepted. */
export function accepts(room: Room, name: string): boolean {
  const accepted = (ACCEPTED[room] as readonly string[]).includes(name);
  if (accepted) use(room, name);
  return accepted;
}

/** Of what MongoDB itself would have done; errors that it answers too are none. */
export function recordRefusal(error: unknown): void {
  if (sink && error instanceof Refusal) sink(`refused ${error.code} ${error.message}`);
}
