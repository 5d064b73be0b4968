import { type Collection } from './collection';
import { ACCEPTED, recordRefusal } from './accepted';
import { type Handler, type State } from './state';
import { MongoError, prefixed, Refusal } from './errors';
import { queryOf, run, type Query } from './query';
import { type Found } from './plan';
import { parseProjectionIn } from './read-commands';
import { checkFields, checkWriteConcern, documentIn, flagIn, missing, type Request } from './request';
import { applyUpdate, parseUpdate, prepareInsert, upsertDocument, type Update } from './update';
import { NULL, T, type Plain, type Value } from './value';

const LARGEST_BATCH = 100_000;

/** Runs each statement; errors are gathered, and the first ends it unless `ordered: false`. */
function each<Statement>(
  request: Request,
  statements: readonly Statement[],
  write: (statement: Statement, at: number) => void,
): { writeErrors?: Plain } {
  checkWriteConcern(request);
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
      recordRefusal(error);
      errors.push({ index, code: error.code, errmsg: error.message, ...(error.extra as Readonly<Record<string, Value>>) });
      if (ordered) break;
    }
  }
  return errors.length ? { writeErrors: errors } : {};
}

function collectionFor(state: State, namespace: string): Collection {
  return state.catalog.find(namespace) ?? state.catalog.create(namespace);
}

const insert: Handler = (state, request) => {
  const namespace = request.namespace;
  let n = 0;
  const errors = each(request, request.list('documents'), (doc) => {
    const prepared = prepareInsert(doc);
    state.catalog.begin();
    collectionFor(state, namespace).insert(prepared);
    n++;
  });
  return { n, ...errors };
};

const update: Handler = (state, request) => {
  const namespace = request.namespace;
  const tally = { n: 0, nModified: 0 };
  const upserted: Plain[] = [];
  const statements = request.list('updates').map(parseStatement);
  const errors = each(request, statements, ({ q, u, multi, upsert }, index) => {
    const change = parseUpdate(u, multi);
    const result = updateSome(state, 'update', namespace, { ...queryOf(q), limit: multi ? 0 : 1 }, change, upsert);
    tally.n += result.matched;
    tally.nModified += result.modified;
    if (!result.inserted) return;
    tally.n++;
    upserted.push({ index, _id: result.inserted.get('_id') ?? NULL });
  });
  return { n: tally.n, ...errors, ...(upserted.length ? { upserted } : {}), nModified: tally.nModified };
};

function parseStatement(statement: Value): { q: Value; u: Value; multi: boolean; upsert: boolean } {
  const where = 'update.updates';
  checkFields(statement, ACCEPTED.updateStatement, where);
  const [q, u] = [documentIn(statement, 'q', `${where}.q`), statement.get('u')];
  if (!q) throw missing(`${where}.q`);
  if (!u) throw missing(`${where}.u`);
  if (u.type !== T.OBJECT && u.type !== T.ARRAY) throw new MongoError(9, 'Update argument must be either an object or an array');
  return {
    q,
    u,
    multi: flagIn(statement, 'multi', `${where}.multi`) ?? false,
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

function updateSome(state: State, command: string, namespace: string, query: Query, change: Update, upsert: boolean): Updated {
  const collection = state.catalog.find(namespace);
  try {
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
    if (found.length > 0 || !upsert)
      return { matched: found.length, modified, before: found[0]?.doc, after, inserted: undefined };
    const inserted = upsertDocument(change, query.filter);
    state.catalog.begin();
    collectionFor(state, namespace).insert(inserted);
    return { matched: 0, modified: 0, before: undefined, after: inserted, inserted };
  } catch (error) {
    throw prefixed(error, `Plan executor error during ${command}`);
  }
}

const remove: Handler = (state, request) => {
  const namespace = request.namespace;
  let n = 0;
  const statements = request.list('deletes').map((statement) => {
    const where = 'delete.deletes';
    checkFields(statement, ACCEPTED.deleteStatement, where);
    const [q, limit] = [documentIn(statement, 'q', `${where}.q`), statement.get('limit')];
    if (!q) throw missing(`${where}.q`);
    if (!limit) throw missing(`${where}.limit`);
    if (!limit.isNumber || (limit.number !== 0 && limit.number !== 1)) {
      throw new Refusal(
        9,
        `The limit field in delete objects must be 0 or 1. Got ${limit.isNumber ? limit.number : limit.typeName}`,
      );
    }
    return { q, limit: limit.number };
  });
  const errors = each(request, statements, ({ q, limit }) => {
    n += deleteSome(state, namespace, queryOf(q, undefined, 0, limit)).length;
  });
  return { n, ...errors };
};

/** @returns the documents that were deleted */
export function deleteSome(
  state: State,
  namespace: string,
  query: Query,
  command = 'Plan executor error during delete',
): readonly Value[] {
  const collection = state.catalog.find(namespace);
  if (!collection) return [];
  let found: readonly Found[];
  try {
    found = [...run(collection, query)];
  } catch (error) {
    throw prefixed(error, command);
  }
  for (const { rid, doc } of found) {
    state.catalog.begin();
    collection.delete(rid, doc);
  }
  return found.map(({ doc }) => doc);
}

function parseChange(update: Value): Update {
  if (update.type !== T.OBJECT && update.type !== T.ARRAY)
    throw new MongoError(9, 'Update argument must be either an object or an array');
  return parseUpdate(update, false);
}

const findAndModify: Handler = (state, request) => {
  const namespace = request.namespace;
  checkWriteConcern(request);
  const removing = request.flag('remove') ?? false;
  const showNew = request.flag('new') ?? false;
  const upsert = request.flag('upsert') ?? false;
  const update = request.get('update');
  if (removing && update) throw new MongoError(9, "Cannot specify both an 'update' and 'remove'=true");
  if (removing && upsert) throw new MongoError(9, "Cannot specify both 'upsert'=true and 'remove'=true ");
  if (removing && showNew) {
    throw new MongoError(9, "Cannot specify both 'new'=true and 'remove'=true; 'remove' always returns the deleted document");
  }
  if (!removing && !update) throw new MongoError(9, 'Either an update or remove=true must be specified');
  const change = update && parseChange(update);
  const query = queryOf(request.document('query'), request.document('sort'), 0, 1);
  const projection = parseProjectionIn(request, 'fields');
  const show = (doc: Value | undefined): Plain => (doc ? (projection?.(doc) ?? doc) : null);
  if (!change) {
    const [deleted] = deleteSome(state, namespace, query, 'Plan executor error during findAndModify');
    return { lastErrorObject: { n: deleted ? 1 : 0 }, value: show(deleted) };
  }
  const { before, after, inserted } = updateSome(state, 'findAndModify', namespace, query, change, upsert);
  const outcome = { n: before || inserted ? 1 : 0, updatedExisting: before !== undefined };
  return {
    lastErrorObject: inserted ? { ...outcome, upserted: inserted.get('_id') ?? NULL } : outcome,
    value: show(showNew ? after : before),
  };
};

export const WRITE_COMMANDS: Readonly<Record<string, Handler>> = { insert, update, delete: remove, findAndModify };
