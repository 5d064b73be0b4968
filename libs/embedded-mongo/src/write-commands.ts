import { type Collection } from './collection';
import { ACCEPTED } from './accepted';
import { type Handler, type State } from './state';
import { MongoError } from './errors';
import { queryOf, run, type Query } from './query';
import { parseProjectionIn } from './read-commands';
import { checkFields, checkWriteConcern, documentIn, flagIn, missing, type Request } from './request';
import { applyUpdate, parseUpdate, prepareInsert, upsertDocument, type Update } from './update';
import { NULL, type Plain, type Value } from './value';

const LARGEST_BATCH = 100_000;

/** Runs each statement; errors are gathered, and the first ends it unless `ordered: false`. */
function each(request: Request, list: string, write: (statement: Value, at: number) => void): Plain[] {
  checkWriteConcern(request);
  const statements = request.list(list);
  if (statements.length === 0 || statements.length > LARGEST_BATCH) {
    throw new MongoError(16, `Write batch sizes must be between 1 and ${LARGEST_BATCH}. Got ${statements.length} operations.`);
  }
  const ordered = request.flag('ordered') ?? true;
  const errors: Plain[] = [];
  for (const [index, statement] of statements.entries()) {
    try {
      write(statement, index);
    } catch (error) {
      if (!(error instanceof MongoError)) throw error;
      errors.push({ index, code: error.code, errmsg: error.message, ...(error.extra as Readonly<Record<string, Value>>) });
      if (ordered) break;
    }
  }
  return errors;
}

function collectionFor(state: State, namespace: string): Collection {
  return state.catalog.find(namespace) ?? state.catalog.create(namespace);
}

const insert: Handler = (state, request) => {
  const namespace = request.namespace;
  let n = 0;
  const errors = each(request, 'documents', (doc) => {
    const prepared = prepareInsert(doc);
    state.catalog.begin();
    collectionFor(state, namespace).insert(prepared);
    n++;
  });
  return { n, ...(errors.length ? { writeErrors: errors } : {}) };
};

const update: Handler = (state, request) => {
  const namespace = request.namespace;
  const tally = { n: 0, nModified: 0 };
  const upserted: Plain[] = [];
  const errors = each(request, 'updates', (statement, index) => {
    const { query, change, multi, upsert } = parseStatement(statement);
    const result = updateSome(state, namespace, { ...query, limit: multi ? 0 : 1 }, change, upsert);
    tally.n += result.matched;
    tally.nModified += result.modified;
    if (!result.inserted) return;
    tally.n++;
    upserted.push({ index, _id: result.inserted.get('_id') ?? NULL });
  });
  return {
    n: tally.n,
    ...(upserted.length ? { upserted } : {}),
    nModified: tally.nModified,
    ...(errors.length ? { writeErrors: errors } : {}),
  };
};

function parseStatement(statement: Value): { query: Query; change: Update; multi: boolean; upsert: boolean } {
  const where = 'update.updates';
  checkFields(statement, ACCEPTED.updateStatement, where);
  const [q, u] = [documentIn(statement, 'q', `${where}.q`), statement.get('u')];
  if (!q) throw missing(`${where}.q`);
  if (!u) throw missing(`${where}.u`);
  const multi = flagIn(statement, 'multi', `${where}.multi`) ?? false;
  return {
    query: queryOf(q),
    change: parseUpdate(u, multi),
    multi,
    upsert: flagIn(statement, 'upsert', `${where}.upsert`) ?? false,
  };
}

interface Updated {
  readonly matched: number;
  readonly modified: number;
  readonly before: Value | undefined;
  readonly after: Value | undefined;
  readonly inserted: Value | undefined;
}

function updateSome(state: State, namespace: string, query: Query, change: Update, upsert: boolean): Updated {
  const collection = state.catalog.find(namespace);
  // All are found before the first is changed, so that a change never meets its own result.
  const found = collection ? [...run(collection, query)] : [];
  let modified = 0;
  let after: Value | undefined;
  for (const { rid, doc } of found) {
    after = applyUpdate(change, doc);
    if (after === doc) continue;
    state.catalog.begin();
    collection!.update(rid, doc, after);
    modified++;
  }
  if (found.length > 0 || !upsert) return { matched: found.length, modified, before: found[0]?.doc, after, inserted: undefined };
  const inserted = upsertDocument(change, query.filter);
  state.catalog.begin();
  collectionFor(state, namespace).insert(inserted);
  return { matched: 0, modified: 0, before: undefined, after: inserted, inserted };
}

const remove: Handler = (state, request) => {
  const namespace = request.namespace;
  let n = 0;
  const errors = each(request, 'deletes', (statement) => {
    const where = 'delete.deletes';
    checkFields(statement, ACCEPTED.deleteStatement, where);
    const [q, limit] = [documentIn(statement, 'q', `${where}.q`), statement.get('limit')];
    if (!q) throw missing(`${where}.q`);
    if (!limit) throw missing(`${where}.limit`);
    if (!limit.isNumber || (limit.number !== 0 && limit.number !== 1)) {
      throw new MongoError(
        9,
        `The limit field in delete objects must be 0 or 1. Got ${limit.isNumber ? limit.number : limit.typeName}`,
      );
    }
    n += deleteSome(state, namespace, queryOf(q, undefined, 0, limit.number)).length;
  });
  return { n, ...(errors.length ? { writeErrors: errors } : {}) };
};

/** @returns the documents that were deleted */
export function deleteSome(state: State, namespace: string, query: Query): readonly Value[] {
  const collection = state.catalog.find(namespace);
  if (!collection) return [];
  const found = [...run(collection, query)];
  for (const { rid, doc } of found) {
    state.catalog.begin();
    collection.delete(rid, doc);
  }
  return found.map(({ doc }) => doc);
}

const findAndModify: Handler = (state, request) => {
  const namespace = request.namespace;
  checkWriteConcern(request);
  const removing = request.flag('remove') ?? false;
  const showNew = request.flag('new') ?? false;
  const upsert = request.flag('upsert') ?? false;
  const update = request.get('update');
  if (removing && update) throw new MongoError(9, 'Cannot specify both an update and remove=true');
  if (removing && upsert) throw new MongoError(9, 'Cannot specify both upsert=true and remove=true');
  if (removing && showNew) {
    throw new MongoError(9, "Cannot specify both new=true and remove=true; 'remove' always returns the deleted document");
  }
  if (!removing && !update) throw new MongoError(9, 'Either an update or remove=true must be specified');
  const projection = parseProjectionIn(request, 'fields');
  const show = (doc: Value | undefined): Plain => (doc ? (projection?.(doc) ?? doc) : null);
  const query = queryOf(request.document('query'), request.document('sort'), 0, 1);
  if (!update) {
    const [deleted] = deleteSome(state, namespace, query);
    return { lastErrorObject: { n: deleted ? 1 : 0 }, value: show(deleted) };
  }
  const { before, after, inserted } = updateSome(state, namespace, query, parseUpdate(update, false), upsert);
  const outcome = { n: before || inserted ? 1 : 0, updatedExisting: before !== undefined };
  return {
    lastErrorObject: inserted ? { ...outcome, upserted: inserted.get('_id') ?? NULL } : outcome,
    value: show(showNew ? after : before),
  };
};

export const WRITE_COMMANDS: Readonly<Record<string, Handler>> = { insert, update, delete: remove, findAndModify };
