import { recordRefusal } from './accepted';
import { MongoError, prefixed, Refusal } from './errors';
import { type Found, type Query } from './plan';
import { queryOf, run } from './query';
import { Fields, type Request } from './request';
import { type Handler, type State } from './state';
import { applyUpdate, parseUpdate, prepareInsert, upsertDocument, type Update } from './update';
import { NULL, T, type Plain, type Value } from './value';

const LARGEST_BATCH = 100_000;

/** Runs each statement; errors are gathered, and the first ends it unless `ordered: false`. */
function each<Statement>(
  request: Request,
  statements: readonly Statement[],
  write: (statement: Statement, index: number) => void,
): Plain {
  if (statements.length === 0 || statements.length > LARGEST_BATCH) {
    throw new MongoError(16, `Write batch sizes must be between 1 and ${LARGEST_BATCH}. Got ${statements.length} operations.`);
  }
  const ordered = request.flag('ordered') ?? true;
  const writeErrors: Plain[] = [];
  for (const [index, statement] of statements.entries()) {
    try {
      write(statement, index);
    } catch (error) {
      if (!(error instanceof MongoError)) throw error;
      recordRefusal(error);
      writeErrors.push({ index, code: error.code, errmsg: error.message, ...(error.extra as Readonly<Record<string, Value>>) });
      if (ordered) break;
    }
  }
  return writeErrors.length > 0 ? { writeErrors } : {};
}

function insertInto(state: State, namespace: string, doc: Value): void {
  state.catalog.begin();
  (state.catalog.find(namespace) ?? state.catalog.create(namespace)).insert(doc);
}

const insert: Handler = (state, request) => {
  const namespace = request.namespace;
  let n = 0;
  const errors = each(request, request.documents('documents'), (doc) => {
    insertInto(state, namespace, prepareInsert(doc));
    n++;
  });
  return request.unacknowledged ? { n: 0 } : { n, ...(errors as object) };
};

const update: Handler = (state, request) => {
  const namespace = request.namespace;
  let [n, nModified] = [0, 0];
  const upserted: Plain[] = [];
  const statements = request.documents('updates').map((statement) => {
    const fields = new Fields(statement, 'update.updates', 'updateStatement');
    const [q, u] = [fields.required('q'), fields.required('u')];
    if (u.type !== T.OBJECT && u.type !== T.ARRAY)
      throw new MongoError(9, 'Update argument must be either an object or an array');
    return { q, u, limit: fields.flag('multi') ? 0 : 1, upsert: fields.flag('upsert') ?? false };
  });
  const errors = each(request, statements, ({ q, u, limit, upsert }, index) => {
    const change = parseUpdate(u);
    const result = updateSome(state, 'update', namespace, queryOf(q, undefined, limit), change, upsert);
    n += result.inserted ? 1 : result.matched;
    nModified += result.modified;
    if (result.inserted) upserted.push({ index, _id: result.inserted.get('_id') ?? NULL });
  });
  if (request.unacknowledged) return { n: 0, nModified: 0 };
  return { n, ...(errors as object), ...(upserted.length > 0 ? { upserted } : {}), nModified };
};

interface Updated {
  readonly matched: number;
  readonly modified: number;
  readonly before?: Value | undefined;
  readonly after?: Value | undefined;
  readonly inserted?: Value;
}

function updateSome(state: State, command: string, namespace: string, query: Query, change: Update, upsert: boolean): Updated {
  try {
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
    if (found.length > 0 || !upsert) return { matched: found.length, modified, before: found[0]?.doc, after };
    const inserted = upsertDocument(change, query.filter);
    insertInto(state, namespace, inserted);
    return { matched: 0, modified: 0, after: inserted, inserted };
  } catch (error) {
    throw prefixed(error, `Plan executor error during ${command}`);
  }
}

const remove: Handler = (state, request) => {
  const namespace = request.namespace;
  const statements = request.documents('deletes').map((statement) => {
    const fields = new Fields(statement, 'delete.deletes', 'deleteStatement');
    const limit = fields.required('limit').number;
    if (limit !== 0 && limit !== 1) throw new Refusal(9, `The limit field in delete objects must be 0 or 1. Got ${limit}`);
    return { q: fields.required('q'), limit };
  });
  let n = 0;
  const errors = each(request, statements, ({ q, limit }) => {
    n += deleteSome(state, 'delete', namespace, queryOf(q, undefined, limit)).length;
  });
  return request.unacknowledged ? { n: 0 } : { n, ...(errors as object) };
};

/** @returns the documents that were deleted */
export function deleteSome(state: State, command: string, namespace: string, query: Query): readonly Value[] {
  const collection = state.catalog.find(namespace);
  if (!collection) return [];
  let found: readonly Found[];
  try {
    found = [...run(collection, query)];
  } catch (error) {
    throw prefixed(error, `Plan executor error during ${command}`);
  }
  if (found.length > 0) state.catalog.begin();
  for (const { rid, doc } of found) collection.delete(rid, doc);
  return found.map(({ doc }) => doc);
}

const findAndModify: Handler = (state, request) => {
  const namespace = request.namespace;
  const [removing, showNew, upsert] = [request.flag('remove'), request.flag('new'), request.flag('upsert')];
  const update = request.body.get('update');
  if (removing && update) throw new Refusal(9, "Cannot specify both an 'update' and 'remove'=true");
  if (removing && upsert) throw new MongoError(9, "Cannot specify both 'upsert'=true and 'remove'=true ");
  if (removing && showNew) {
    throw new MongoError(9, "Cannot specify both 'new'=true and 'remove'=true; 'remove' always returns the deleted document");
  }
  if (!removing && !update) throw new MongoError(9, 'Either an update or remove=true must be specified');
  const change = update && parseUpdate(update);
  const query = queryOf(request.document('query'), undefined, 1);
  if (!change) {
    const [deleted] = deleteSome(state, 'findAndModify', namespace, query);
    return { lastErrorObject: { n: deleted ? 1 : 0 }, value: deleted ?? null };
  }
  const { before, after, inserted } = updateSome(state, 'findAndModify', namespace, query, change, upsert ?? false);
  const lastErrorObject = {
    n: before || inserted ? 1 : 0,
    updatedExisting: before !== undefined,
    ...(inserted ? { upserted: inserted.get('_id') ?? NULL } : {}),
  };
  return { lastErrorObject, value: (showNew ? after : before) ?? null };
};

export const WRITE_COMMANDS = { insert, update, delete: remove, findAndModify };
