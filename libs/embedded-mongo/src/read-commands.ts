import { runPipeline } from './aggregate';
import { MongoError, Refusal } from './errors';
import { type Query } from './plan';
import { parseProjection } from './projection';
import { queryOf, run } from './query';
import { type Request } from './request';
import { type Handler } from './state';
import { document, T, type Value } from './value';

/** What a find asks for. */
export function findIn(request: Request): { namespace: string; query: Query; project: (doc: Value) => Value } {
  const { namespace } = request;
  const query = queryOf(request.document('filter'), request.document('sort'), request.count('limit'));
  return { namespace, query, project: parseProjection(request.document('projection') ?? document([])) };
}

const find: Handler = (state, request) => {
  const { namespace, query, project } = findIn(request);
  const collection = state.catalog.find(namespace);
  const documents = (function* (): Generator<Value> {
    if (collection) for (const { doc } of run(collection, query)) yield project(doc);
  })();
  const [batchSize, keep] = [request.count('batchSize'), collection !== undefined && !request.flag('singleBatch')];
  return state.cursors.start(namespace, documents, batchSize, keep, query.limit || Infinity);
};

const aggregate: Handler = (state, request) => {
  const namespace = request.namespace;
  const documents = runPipeline(state.catalog.find(namespace), request.list('pipeline'));
  if (!request.document('cursor'))
    throw new MongoError(9, "The 'cursor' option is required, except for aggregate with the explain argument");
  return state.cursors.start(namespace, documents, request.batchSizeOfCursor());
};

const getMore: Handler = (state, request) => {
  if (request.argument.type !== T.LONG) throw new Refusal(14, "BSON field 'getMore.getMore' must be a long");
  const { text } = request.required('collection');
  const namespace = text.startsWith('$cmd.') ? `${request.db}.${text}` : request.namespaceOf(text);
  return state.cursors.next(request.argument.bigint, namespace, request.count('batchSize') ?? Infinity);
};

const killCursors: Handler = (state, request) => {
  request.namespaceOf(request.argument.text);
  const ids = request.list('cursors');
  if (ids.some(({ type }) => type !== T.LONG))
    throw new Refusal(14, "BSON field 'killCursors.cursors' has an element of the wrong type");
  const killed = ids.filter((id) => state.cursors.kill(id.bigint));
  return {
    cursorsKilled: killed,
    cursorsNotFound: ids.filter((id) => !killed.includes(id)),
    cursorsAlive: [],
    cursorsUnknown: [],
  };
};

export const READ_COMMANDS = { find, getMore, killCursors, aggregate };
