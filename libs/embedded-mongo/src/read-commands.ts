import { runPipeline } from './aggregate';
import { MongoError } from './errors';
import { type Query } from './plan';
import { parseProjection } from './projection';
import { queryOf, run } from './query';
import { type Request, required } from './request';
import { type Handler } from './state';
import { T, type Value } from './value';

export function queryIn(request: Request): Query {
  return queryOf(request.document('filter'), request.document('sort'), request.count('limit'));
}

const find: Handler = (state, request) => {
  const namespace = request.namespace;
  const query = queryIn(request);
  const projection = request.document('projection');
  const project = projection ? parseProjection(projection) : (doc: Value): Value => doc;
  const collection = state.catalog.find(namespace);
  const documents = (function* (): Generator<Value> {
    if (collection) for (const { doc } of run(collection, query)) yield project(doc);
  })();
  const [batchSize, keep] = [request.count('batchSize'), !request.flag('singleBatch')];
  return state.cursors.start(namespace, documents, batchSize, keep, query.limit || Infinity);
};

const aggregate: Handler = (state, request) => {
  const namespace = request.namespace;
  if (!request.document('cursor'))
    throw new MongoError(9, "The 'cursor' option is required, except for aggregate with the explain argument");
  const documents = runPipeline(state.catalog.find(namespace), request.list('pipeline'));
  return state.cursors.start(namespace, documents, request.batchSizeOfCursor());
};

const getMore: Handler = (state, request) => {
  const id = request.get('getMore', T.LONG, 'long')!.bigint;
  const collection = required(request.get('collection', T.STRING, 'string'), 'getMore.collection').text;
  return state.cursors.next(id, `${request.db}.${collection}`, request.count('batchSize') ?? Infinity);
};

const killCursors: Handler = (state, request) => {
  const ids = request.list('cursors');
  if (ids.some(({ type }) => type !== T.LONG))
    throw new MongoError(14, "BSON field 'killCursors.cursors' has an element of the wrong type");
  const killed = ids.filter((id) => state.cursors.kill(id.bigint));
  return {
    cursorsKilled: killed,
    cursorsNotFound: ids.filter((id) => !killed.includes(id)),
    cursorsAlive: [],
    cursorsUnknown: [],
  };
};

export const READ_COMMANDS: Readonly<Record<string, Handler>> = { find, getMore, killCursors, aggregate };
