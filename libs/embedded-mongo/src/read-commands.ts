import { runPipeline } from './aggregate';
import { type Handler } from './state';
import { MongoError } from './errors';
import { parseProjection } from './projection';
import { queryOf, run, type Query } from './query';
import { countOf, elements, missing, wrongType, type Request } from './request';
import { T, type Value } from './value';

export function queryIn(request: Request, filter: 'filter' | 'query'): Query {
  const [skip, limit] = [request.count('skip'), request.count('limit')];
  return queryOf(request.document(filter), request.document('sort'), skip, limit);
}

const find: Handler = (state, request) => {
  const namespace = request.namespace;
  const query = queryIn(request, 'filter');
  const projection = parseProjectionIn(request, 'projection');
  const collection = state.catalog.find(namespace);
  const found = collection ? run(collection, query) : [];
  const singleBatch = request.flag('singleBatch') ?? false;
  return state.cursors.start(namespace, documents(found, projection), {
    batchSize: request.count('batchSize'),
    keep: !singleBatch,
    executor: `find command: ${namespace}`,
  });
};

function* documents(found: Iterable<{ doc: Value }>, projection: ((doc: Value) => Value) | undefined): Generator<Value> {
  for (const { doc } of found) yield projection ? projection(doc) : doc;
}

export function parseProjectionIn(request: Request, name: string): ((doc: Value) => Value) | undefined {
  const projection = request.document(name);
  return projection && parseProjection(projection);
}

const getMore: Handler = (state, request) => {
  if (request.argument.type !== T.LONG) throw wrongType('getMore.getMore', request.argument, 'long');
  const collection = request.get('collection');
  if (!collection) throw missing('getMore.collection');
  if (collection.type !== T.STRING) throw wrongType('getMore.collection', collection, 'string');
  return state.cursors.next(request.argument.bigint, `${request.db}.${collection.text}`, request.count('batchSize'));
};

const killCursors: Handler = (state, request) => {
  const ids = elements(request.get('cursors'), 'killCursors.cursors');
  for (const [at, id] of ids.entries()) if (id.type !== T.LONG) throw wrongType(`killCursors.cursors.${at}`, id, 'long');
  const killed = ids.filter((id) => state.cursors.kill(id.bigint));
  return {
    cursorsKilled: killed,
    cursorsNotFound: ids.filter((id) => !killed.includes(id)),
    cursorsAlive: [],
    cursorsUnknown: [],
  };
};

const count: Handler = (state, request) => {
  const collection = state.catalog.find(request.namespace);
  const { skip, limit, filter } = queryIn(request, 'query');
  if (!collection) return { n: 0 };
  if (filter.kind === 'and' && filter.of.length === 0) {
    const left = Math.max(0, collection.count() - skip);
    return { n: limit ? Math.min(left, limit) : left };
  }
  let n = 0;
  for (const _ of run(collection, { filter, sort: [], skip, limit })) n++;
  return { n };
};

const aggregate: Handler = (state, request) => {
  const namespace = request.namespace;
  const cursor = request.document('cursor');
  if (!cursor) throw new MongoError(9, "The 'cursor' option is required, except for aggregate with the explain argument");
  const batchSize = countOf(cursor.get('batchSize'), 'cursor.batchSize');
  const documents = runPipeline(state.catalog.find(namespace), elements(request.get('pipeline'), 'aggregate.pipeline'));
  return state.cursors.start(namespace, documents[Symbol.iterator](), { batchSize, executor: `aggregate command on namespace: ${namespace}` });
};

export const READ_COMMANDS: Readonly<Record<string, Handler>> = { find, getMore, killCursors, count, aggregate };
