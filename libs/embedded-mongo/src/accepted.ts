import { Refusal } from './errors';

/** What a field must hold: a BSON type by MongoDB's name, `count` (a whole number that is not
 * negative), `cursor` (a document of nothing but a batchSize), or anything. */
export type Kind = 'object' | 'string' | 'bool' | 'array' | 'count' | 'cursor' | 'any';
type Kinds = Readonly<Record<string, Kind>>;

const WRITE = { writeConcern: 'object' } as const;

/**
 * Everything this database accepts, in one table. What is not here is refused with MongoDB's own error; what is here is done as
 * MongoDB does it.
 */
export const ACCEPTED = {
  /** Commands and their fields, beside those of every command; null: whatever a driver says (as MongoDB, in the handshake). */
  commands: {
    hello: null,
    ping: {},
    buildInfo: {},
    endSessions: WRITE,
    find: { filter: 'object', sort: 'object', projection: 'object', limit: 'count', batchSize: 'count', singleBatch: 'bool' },
    getMore: { collection: 'string', batchSize: 'count' },
    killCursors: { cursors: 'array' },
    insert: { documents: 'array', ordered: 'bool', ...WRITE },
    update: { updates: 'array', ordered: 'bool', ...WRITE },
    delete: { deletes: 'array', ordered: 'bool', ...WRITE },
    findAndModify: { query: 'object', remove: 'bool', update: 'any', new: 'bool', upsert: 'bool', ...WRITE },
    aggregate: { pipeline: 'array', cursor: 'cursor' },
    explain: { verbosity: 'string' },
    create: WRITE,
    dropDatabase: WRITE,
    listCollections: { filter: 'object', nameOnly: 'bool', authorizedCollections: 'bool', cursor: 'cursor' },
    createIndexes: { indexes: 'array', ...WRITE },
    listIndexes: { cursor: 'cursor' },
    dropIndexes: { index: 'string', ...WRITE },
  },
  general: { $db: 'string', $readPreference: 'object', lsid: 'object' },
  updateStatement: { q: 'object', u: 'any', multi: 'bool', upsert: 'bool' },
  deleteStatement: { q: 'object', limit: 'any' },
  index: { key: 'object', name: 'string', unique: 'bool', partialFilterExpression: 'object', expireAfterSeconds: 'any' },
  query: ['$ne', '$gt', '$gte', '$lt', '$lte', '$in', '$exists', '$or'],
  update: ['$set', '$setOnInsert', '$unset', '$inc', '$max'],
  stage: ['$match', '$group'],
  accumulator: ['$sum'],
} as const satisfies Readonly<Record<string, readonly string[] | Kinds | Readonly<Record<string, Kinds | null>>>>;

export type Command = keyof typeof ACCEPTED.commands;
export type Part = 'index' | 'updateStatement' | 'deleteStatement';
export type Room = 'query' | 'update' | 'stage' | 'accumulator';

/** The fields of a command (null: any) or of a part of one. */
export const FIELDS: Readonly<Record<string, Kinds | null>> = {
  ...ACCEPTED.commands,
  index: ACCEPTED.index,
  updateStatement: ACCEPTED.updateStatement,
  deleteStatement: ACCEPTED.deleteStatement,
};

let sink: ((entry: string) => void) | undefined;
const seen = new Set<string>();

/** Reports the first use of each thing accepted as `room name`, and every refusal as `refused code message`. */
export function recordUses(to: ((entry: string) => void) | undefined): void {
  sink = to;
  seen.clear();
}

export function use(room: string, name: string): void {
  const entry = `${room} ${name}`;
  if (!sink || seen.has(entry)) return;
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
