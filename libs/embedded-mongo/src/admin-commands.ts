import { ACCEPTED, use } from './accepted';
import { type Collection, keyFields, type Index } from './collection';
import { type Handler } from './state';
import { MongoError } from './errors';
import { matches, parseFilter } from './filter';
import { planOf, run } from './query';
import { queryIn } from './read-commands';
import { checkFields, checkWriteConcern, countOf, missing, Request, wrongType } from './request';
import { document, T, value, type Plain, Value } from './value';

const VERSION = '7.0.0';

const hello: Handler = (state, request) => ({
  ...(request.name === 'hello' ? { isWritablePrimary: true } : { ismaster: true, helloOk: true }),
  maxBsonObjectSize: 16 * 1024 * 1024,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  localTime: new Date(state.now()),
  logicalSessionTimeoutMinutes: 30,
  connectionId: 1,
  minWireVersion: 0,
  maxWireVersion: 21,
  readOnly: false,
});

const buildInfo: Handler = () => ({
  version: VERSION,
  versionArray: [7, 0, 0, 0],
  bits: 64,
  debug: false,
  maxBsonObjectSize: 16 * 1024 * 1024,
});

const nothing: Handler = () => ({});

const create: Handler = (state, request) => {
  const namespace = request.namespace;
  checkWriteConcern(request);
  if (state.catalog.find(namespace)) throw new MongoError(48, `Collection ${namespace} already exists.`);
  state.catalog.create(namespace);
  return {};
};

const drop: Handler = (state, request) => {
  const namespace = request.namespace;
  checkWriteConcern(request);
  const collection = state.catalog.find(namespace);
  if (!collection) return {};
  const nIndexesWas = collection.indexes.length;
  state.catalog.drop(collection);
  return { nIndexesWas, ns: namespace };
};

const dropDatabase: Handler = (state, request) => {
  checkWriteConcern(request);
  const collections = state.catalog.all().filter(({ namespace }) => namespace.startsWith(`${request.db}.`));
  for (const collection of collections) state.catalog.drop(collection);
  return collections.length ? { dropped: request.db } : {};
};

const listDatabases: Handler = (state, request) => {
  if (request.db !== 'admin') throw new MongoError(13, 'listDatabases may only be run against the admin database.');
  const names = [...new Set(state.catalog.all().map(({ namespace }) => namespace.slice(0, namespace.indexOf('.'))))].sort();
  if (!request.flag('nameOnly')) throw new MongoError(238, 'listDatabases is supported with nameOnly: true');
  return { databases: names.map((name) => ({ name })) };
};

const listCollections: Handler = (state, request) => {
  const filter = request.document('filter');
  const wanted = filter && parseFilter(filter);
  const nameOnly = request.flag('nameOnly') ?? false;
  const all = state.catalog
    .all()
    .filter(({ namespace }) => namespace.startsWith(`${request.db}.`))
    .map(({ namespace, uuid, idIndex }) => {
      const name = namespace.slice(request.db.length + 1);
      const uuidBytes = new Value(T.BINARY, Buffer.concat([Buffer.from([16, 0, 0, 0, 4]), uuid]));
      const full = { name, type: 'collection', options: {}, info: { readOnly: false, uuid: uuidBytes }, idIndex: idIndex.spec };
      return value(nameOnly ? { name, type: 'collection' } : full);
    })
    .filter((each) => !wanted || matches(wanted, each));
  return state.cursors.start(`${request.db}.$cmd.listCollections`, all.values(), batchSizeIn(request));
};

function batchSizeIn(request: Request): number | undefined {
  return countOf(request.document('cursor')?.get('batchSize'), `${request.name}.cursor.batchSize`);
}

const listIndexes: Handler = (state, request) => {
  const namespace = request.namespace;
  const collection = state.catalog.find(namespace);
  if (!collection) throw new MongoError(26, `ns does not exist: ${namespace}`);
  return state.cursors.start(namespace, collection.indexes.map(({ spec }) => spec).values(), batchSizeIn(request));
};

const createIndexes: Handler = (state, request) => {
  const namespace = request.namespace;
  checkWriteConcern(request);
  const specs = request.list('indexes').map((spec) => normalize(spec));
  if (specs.length === 0) throw new MongoError(2, 'Must specify at least one index to create');
  const existing = state.catalog.find(namespace);
  const collection = existing ?? state.catalog.create(namespace);
  const numIndexesBefore = collection.indexes.length;
  for (const spec of specs) if (!isThere(collection, spec)) state.catalog.createIndex(collection, spec);
  const numIndexesAfter = collection.indexes.length;
  return {
    numIndexesBefore,
    numIndexesAfter,
    createdCollectionAutomatically: !existing,
    ...(numIndexesAfter === numIndexesBefore ? { note: 'all indexes already exist' } : {}),
  };
};

/** @throws MongoError 67 or 197 for what is not accepted */
function normalize(spec: Value): Value {
  for (const [name] of checkFields(spec, ACCEPTED.index, 'createIndexes.indexes')) use('index', name);
  const [key, name] = [spec.get('key'), spec.get('name')];
  if (!key) throw missing('createIndexes.indexes.key');
  if (!name) throw missing('createIndexes.indexes.name');
  if (key.type !== T.OBJECT) throw wrongType('createIndexes.indexes.key', key, 'object');
  if (name.type !== T.STRING) throw wrongType('createIndexes.indexes.name', name, 'string');
  if (key.fields.length === 0) throw new MongoError(67, 'Index keys cannot be empty.');
  if (name.text === '' || name.text === '*') throw new MongoError(67, `the index name '${name.text}' is not valid`);
  for (const [path, direction] of key.fields) {
    if (!direction.isNumber || direction.type === T.DECIMAL)
      throw new MongoError(67, `Index type '${direction.typeName}' of '${path}' is not supported`);
    if (direction.number !== 1 && direction.number !== -1)
      throw new MongoError(67, 'Values in the index key pattern can be only 1 or -1 here');
    if (path.split('.').some((part) => part === '' || part.startsWith('$') || /^\d+$/.test(part))) {
      throw new MongoError(67, `the index path '${path}' is not supported`);
    }
  }
  const partial = spec.get('partialFilterExpression');
  if (partial && partial.type !== T.OBJECT) throw wrongType('createIndexes.indexes.partialFilterExpression', partial, 'object');
  if (partial) checkPartial(partial);
  const expire = spec.get('expireAfterSeconds');
  if (expire) {
    if (!expire.isNumber || !(expire.number >= 0))
      throw new MongoError(67, "TTL index 'expireAfterSeconds' option must be numeric and not negative");
    if (key.fields.length > 1)
      throw new MongoError(67, 'TTL indexes are single-field indexes, compound indexes do not support TTL.');
    if (key.fields[0]?.[0] === '_id')
      throw new MongoError(67, 'The field expireAfterSeconds is not valid for an _id index specification.');
  }
  return document([['v', value(2)], ...spec.fields.filter(([each]) => each !== 'v')]);
}

const PARTIAL = new Set(['$eq', '$gt', '$gte', '$lt', '$lte', '$exists', '$in']);

function checkPartial(partial: Value): void {
  const filter = parseFilter(partial);
  const parts = filter.kind === 'and' ? filter.of : [filter];
  for (const part of parts) {
    if (part.kind !== 'predicate' || !PARTIAL.has(part.operator))
      throw new MongoError(67, 'unsupported expression in partial index');
  }
}

function isThere(collection: Collection, spec: Value): boolean {
  const [key, name] = [spec.get('key')!, spec.get('name')!.text];
  const samePattern = (index: Index): boolean =>
    sameKey(index.spec.get('key')!, key) && sameOption(index.spec, spec, 'partialFilterExpression');
  for (const index of collection.indexes) {
    const identical =
      samePattern(index) &&
      (index.name === '_id_' || ['unique', 'expireAfterSeconds'].every((option) => sameOption(index.spec, spec, option)));
    if (index.name === name || (index.name === '_id_' && samePattern(index))) {
      if (identical) return true;
      throw new MongoError(86, `An existing index has the same name as the requested index. Requested index: ${name}`);
    }
    if (samePattern(index)) throw new MongoError(85, `Index already exists with a different name: ${index.name}`);
  }
  return false;
}

function sameKey(a: Value, b: Value): boolean {
  const [one, other] = [keyFields(a), keyFields(b)];
  return (
    one.length === other.length &&
    one.every(({ name, direction }, at) => other[at]?.name === name && other[at].direction === direction)
  );
}

function sameOption(a: Value, b: Value, name: string): boolean {
  const [one, other] = [a.get(name), b.get(name)];
  if (name === 'unique') return (one?.truthy ?? false) === (other?.truthy ?? false);
  if (name === 'expireAfterSeconds') return one?.number === other?.number;
  return one && other ? one.same(other) : one === other;
}

const dropIndexes: Handler = (state, request) => {
  const namespace = request.namespace;
  checkWriteConcern(request);
  const collection = state.catalog.find(namespace);
  if (!collection) throw new MongoError(26, `ns not found ${namespace}`);
  const named = request.get('index');
  if (!named) throw missing('dropIndexes.index');
  if (named.type !== T.STRING) throw new MongoError(238, 'dropIndexes is supported by name');
  const nIndexesWas = collection.indexes.length;
  if (named.text === '*') {
    for (const index of collection.indexes.slice(1)) state.catalog.dropIndex(collection, index);
    return { nIndexesWas, msg: 'non-_id indexes dropped for collection' };
  }
  const found = collection.indexes.find(({ name }) => name === named.text);
  if (!found) throw new MongoError(27, `index not found with name [${named.text}]`);
  if (found.name === '_id_') throw new MongoError(72, 'cannot drop _id index');
  state.catalog.dropIndex(collection, found);
  return { nIndexesWas };
};

const explain: Handler = (state, outer) => {
  if (outer.argument.type !== T.OBJECT) throw wrongType('explain.explain', outer.argument, 'object');
  const request = new Request(document([...outer.argument.fields.filter(([name]) => name !== '$db'), ['$db', value(outer.db)]]));
  if (request.name !== 'find') throw new MongoError(59, `Explain failed due to unknown command: ${request.name}`);
  request.check('find', ACCEPTED.commands.find);
  const namespace = request.namespace;
  const query = queryIn(request, 'filter');
  const collection = state.catalog.find(namespace);
  if (!collection) return { queryPlanner: { namespace, winningPlan: { stage: 'EOF' }, rejectedPlans: [] } };
  const plan = planOf(collection, query);
  const direction = plan.backward ? 'backward' : 'forward';
  const { index } = plan;
  const source: Plain = index
    ? {
        stage: 'FETCH',
        inputStage: {
          stage: 'IXSCAN',
          keyPattern: index.spec.get('key')!,
          indexName: index.name,
          isMultiKey: index.multikey,
          isUnique: index.unique,
          direction,
        },
      }
    : { stage: 'COLLSCAN', direction };
  const tally = { keys: 0, docs: 0 };
  const verbosity = outer.get('verbosity');
  let nReturned = 0;
  if (verbosity?.type !== T.STRING || verbosity.text !== 'queryPlanner')
    for (const _ of run(collection, query, plan, tally)) nReturned++;
  const executed = { executionSuccess: true, nReturned, totalKeysExamined: tally.keys, totalDocsExamined: tally.docs };
  return {
    queryPlanner: { namespace, winningPlan: plan.sorted ? source : { stage: 'SORT', inputStage: source }, rejectedPlans: [] },
    ...(verbosity?.type === T.STRING && verbosity.text === 'queryPlanner' ? {} : { executionStats: executed }),
  };
};

export const ADMIN_COMMANDS: Readonly<Record<string, Handler>> = {
  hello,
  buildInfo,
  ping: nothing,
  endSessions: nothing,
  create,
  drop,
  dropDatabase,
  listDatabases,
  listCollections,
  listIndexes,
  createIndexes,
  dropIndexes,
  explain,
};
