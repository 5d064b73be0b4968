import { ACCEPTED, use } from './accepted';
import { type Collection } from './collection';
import { type Handler } from './state';
import { MongoError, Refusal } from './errors';
import { matches, parseFilter, type Filter } from './filter';
import { equal } from './key';
import { planOf, run } from './query';
import { render } from './render';
import { queryIn } from './read-commands';
import { checkWriteConcern, countOf, missing, Request, wrongType } from './request';
import { document, NULL, T, value, type Plain, Value } from './value';

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
  if (!request.flag('nameOnly')) throw new Refusal(238, 'listDatabases is supported with nameOnly: true');
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
  return state.cursors.start(`${request.db}.$cmd.listCollections`, all.values(), { batchSize: batchSizeIn(request) });
};

function batchSizeIn(request: Request): number | undefined {
  return countOf(request.document('cursor')?.get('batchSize'), `${request.name}.cursor.batchSize`);
}

const listIndexes: Handler = (state, request) => {
  const namespace = request.namespace;
  const collection = state.catalog.find(namespace);
  if (!collection) throw new MongoError(26, `ns does not exist: ${namespace}`);
  return state.cursors.start(namespace, collection.indexes.map(({ spec }) => spec).values(), { batchSize: batchSizeIn(request) });
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
  const news = numIndexesAfter > numIndexesBefore || !existing;
  return {
    numIndexesBefore,
    numIndexesAfter,
    ...(news ? { createdCollectionAutomatically: !existing } : { note: 'all indexes already exist' }),
  };
};

/** @throws MongoError 9, 14, 67 or 197 for what is not accepted */
function normalize(spec: Value): Value {
  const name = optionOf(spec, 'name', T.STRING);
  const key = optionOf(spec, 'key', T.OBJECT);
  if (!name || !key)
    throw new MongoError(9, `The '${key ? 'name' : 'key'}' field is a required property of an index specification`);
  for (const [option] of spec.fields) {
    if (!(ACCEPTED.index as readonly string[]).includes(option)) {
      throw new Refusal(197, `The field '${option}' is not valid for an index specification. Specification: ${render(spec)}`);
    }
    use('index', option);
  }
  if (name.text === '' || name.text === '*') throw new MongoError(67, `the index name '${name.text}' is not valid`);
  checkKey(key);
  optionOf(spec, 'unique', T.BOOL);
  const partial = optionOf(spec, 'partialFilterExpression', T.OBJECT);
  if (partial && !conjunctive(parseFilter(partial))) throw new Refusal(67, 'Expression not supported in partial index');
  const expire = spec.get('expireAfterSeconds');
  if (expire && !(expire.isNumber && expire.number >= 0))
    throw new Refusal(67, "TTL index 'expireAfterSeconds' option must be numeric and not negative");
  if (expire && key.fields.length > 1)
    throw new MongoError(
      67,
      `TTL indexes are single-field indexes, compound indexes do not support TTL. Index spec: ${render(spec)}`,
    );
  if (key.get('_id') && key.fields.length === 1) checkIdIndex(spec);
  return document([['v', value(2)], ...spec.fields.filter(([each]) => each !== 'v')]);
}

function optionOf(spec: Value, name: string, type: number): Value | undefined {
  const found = spec.get(name);
  if (!found || found.type === type) return found;
  throw new Refusal(14, `The field '${name}' of an index specification has the wrong type ${found.typeName}`);
}

function checkKey(key: Value): void {
  if (key.fields.length === 0) throw new MongoError(67, 'Index keys cannot be empty.');
  for (const [path, direction] of key.fields) {
    if (direction.type === T.DECIMAL || Math.abs(direction.number) !== 1) {
      throw new Refusal(67, `Values in the index key pattern can be only 1 and -1, not ${render(direction)}`);
    }
    if (path.split('.').some((part) => part === '' || part.startsWith('$') || /^\d+$/.test(part)))
      throw new Refusal(67, `the index path '${path}' is not supported`);
  }
}

/** MongoDB takes only the index that is there anyway. */
function checkIdIndex(spec: Value): void {
  const key = spec.get('key')!;
  if (key.fields[0]![1].number !== 1)
    throw new MongoError(2, `The field 'key' for an _id index must be {_id: 1}, but got ${render(key)}`);
  const option = spec.fields.find(([name]) => !['v', 'key', 'name'].includes(name));
  if (option)
    throw new MongoError(
      197,
      `The field '${option[0]}' is not valid for an _id index specification. Specification: ${render(spec)}`,
    );
}

const PARTIAL: ReadonlySet<string> = new Set(['$eq', '$gt', '$gte', '$lt', '$lte', '$exists', '$in']);

function conjunctive(filter: Filter): boolean {
  return filter.kind === 'predicate' ? PARTIAL.has(filter.operator) : filter.kind === 'and' && filter.of.every(conjunctive);
}

/** An index is another one when its key, `unique` or its filter differ; then its name must differ too. */
function isThere(collection: Collection, spec: Value): boolean {
  const name = spec.get('name')!.text;
  for (const { spec: there, name: its } of collection.indexes) {
    const id = its === '_id_';
    const alike = id
      ? same(there, spec, 'key')
      : ['key', 'unique', 'partialFilterExpression'].every((option) => same(there, spec, option));
    if (alike && (id || (its === name && same(there, spec, 'expireAfterSeconds')))) return true;
    if (its === name)
      throw new Refusal(
        86,
        `An existing index has the same name as the requested index. Requested index: ${render(spec)}, existing index: ${render(there)}`,
      );
    if (alike) throw new Refusal(85, `Index already exists with a different name: ${its}`);
  }
  return false;
}

function same(one: Value, other: Value, option: string): boolean {
  const [a, b] = [one, other].map((spec) => spec.get(option) ?? (option === 'unique' ? value(false) : NULL));
  return equal(a!, b!);
}

const dropIndexes: Handler = (state, request) => {
  const namespace = request.namespace;
  checkWriteConcern(request);
  const collection = state.catalog.find(namespace);
  if (!collection) throw new MongoError(26, `ns not found ${namespace}`);
  const named = request.get('index');
  if (!named) throw missing('dropIndexes.index');
  if (named.type !== T.STRING) throw new Refusal(238, 'dropIndexes is supported by name');
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
  if (request.name !== 'find') throw new Refusal(59, `Explain failed due to unknown command: ${request.name}`);
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
