import { ACCEPTED } from './accepted';
import { type Collection, type Index } from './collection';
import { MongoError, Refusal } from './errors';
import { matches, parseFilter, type Filter } from './filter';
import { keyFields } from './index-keys';
import { equal } from './key';
import { choosePlan, type Plan } from './plan';
import { run } from './query';
import { findIn } from './read-commands';
import { render } from './render';
import { Fields, Request } from './request';
import { type Handler, type State } from './state';
import { document, NULL, T, value, Value, type Plain } from './value';

const hello: Handler = (state, request) => ({
  ...(request.name === 'hello' ? { isWritablePrimary: true } : { ismaster: true, helloOk: true }),
  maxBsonObjectSize: 16 * 1024 * 1024,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  localTime: new Date(state.now()),
  logicalSessionTimeoutMinutes: 30,
  minWireVersion: 0,
  maxWireVersion: 21,
  readOnly: false,
});

const buildInfo: Handler = () => ({
  version: '7.0.0',
  versionArray: [7, 0, 0, 0],
  bits: 64,
  debug: false,
  maxBsonObjectSize: 16 * 1024 * 1024,
});

const create: Handler = (state, request) => {
  const namespace = request.namespace;
  if (!state.catalog.find(namespace)) state.catalog.create(namespace);
  return {};
};

const dropDatabase: Handler = (state, request) => {
  if (request.argument.number !== 1) throw new Refusal(5255100, "Have to pass 1 as 'drop' parameter");
  if (['admin', 'config', 'local'].includes(request.db))
    throw new MongoError(20, `Dropping the '${request.db}' database is prohibited.`);
  for (const collection of state.catalog.all(request.db)) state.catalog.drop(collection);
  return {};
};

const listCollections: Handler = (state, request) => {
  const wanted = parseFilter(request.document('filter') ?? document([]));
  const all = state.catalog.all(request.db).map(({ namespace, uuid, indexes }) => {
    const brief = { name: namespace.slice(request.db.length + 1), type: 'collection' };
    if (request.flag('nameOnly')) return value(brief);
    const id = new Value(T.BINARY, Buffer.concat([Buffer.from([16, 0, 0, 0, 4]), uuid]));
    return value({ ...brief, options: {}, info: { readOnly: false, uuid: id }, idIndex: indexes[0]!.spec });
  });
  const shown = all.filter((each) => matches(wanted, each));
  return startList(state, request, `${request.db}.$cmd.listCollections`, shown);
};

function startList(state: State, request: Request, namespace: string, list: readonly Value[]): Plain {
  return state.cursors.start(namespace, list.values(), request.batchSizeOfCursor(), true, list.length);
}

const listIndexes: Handler = (state, request) => {
  const namespace = request.namespace;
  const collection = state.catalog.find(namespace);
  if (!collection) throw new MongoError(26, `ns does not exist: ${namespace}`);
  const specs = collection.indexes.map(({ spec }) => spec);
  return startList(state, request, namespace, specs);
};

/** All of the wanted indexes, or none. */
const createIndexes: Handler = (state, request) => {
  const namespace = request.namespace;
  const specs = request.documents('indexes').map(normalize);
  if (specs.length === 0) throw new MongoError(2, 'Must specify at least one index to create');
  const existing = state.catalog.find(namespace);
  const collection = existing ?? state.catalog.create(namespace);
  const before = [...collection.indexes];
  try {
    for (const spec of specs) {
      const there = alike(collection, spec);
      if (!there) state.catalog.createIndex(collection, spec);
      else if (!before.includes(there)) throw new MongoError(68, `Identical index already exists: ${there.name}`);
    }
  } catch (error) {
    for (const index of [...collection.indexes]) if (!before.includes(index)) state.catalog.dropIndex(collection, index);
    if (!existing) state.catalog.drop(collection);
    throw error;
  }
  const [numIndexesBefore, numIndexesAfter] = [before.length, collection.indexes.length];
  const made = !existing || numIndexesAfter > numIndexesBefore;
  const outcome = made ? { createdCollectionAutomatically: !existing } : { note: 'all indexes already exist' };
  return { numIndexesBefore, numIndexesAfter, ...outcome };
};

/** @throws MongoError 2, 9, 14, 67 or 197 for what is not accepted */
function normalize(spec: Value): Value {
  const strange = spec.fields.find(([option]) => !Object.hasOwn(ACCEPTED.index, option));
  if (strange)
    throw new Refusal(197, `The field '${strange[0]}' is not valid for an index specification. Specification: ${render(spec)}`);
  const fields = new Fields(spec, 'createIndexes.indexes', 'index');
  const [name, key] = [fields.text('name'), fields.document('key')];
  if (name === undefined || !key)
    throw new MongoError(9, `The '${key ? 'name' : 'key'}' field is a required property of an index specification`);
  if (name === '*') throw new MongoError(2, `The index name '*' is not valid.`);
  if (name === '' || name.includes('\0')) throw new MongoError(67, `the index name '${name}' is not valid`);
  checkKey(key);
  const partial = fields.document('partialFilterExpression');
  if (partial && !isConjunction(parseFilter(partial))) throw new Refusal(67, 'Expression not supported in partial index');
  const expire = spec.get('expireAfterSeconds');
  if (expire && !(expire.type === T.INT && expire.number >= 0))
    throw new Refusal(67, "'expireAfterSeconds' must be an int and not negative");
  if (expire && key.fields.length > 1) throw new Refusal(67, 'TTL indexes are single-field indexes');
  const others = spec.fields.filter(([option]) => option !== 'key' && option !== 'name');
  return document([['v', value(2)], ['key', key], ['name', value(name)], ...others]);
}

function checkKey(key: Value): void {
  if (key.fields.length === 0) throw new MongoError(67, 'Index keys cannot be empty.');
  if (key.fields.length > 32) throw new MongoError(13103, 'too many compound keys');
  for (const [path, { isNumber, type, number }] of key.fields) {
    if (!isNumber || type === T.DECIMAL || Math.abs(number) !== 1)
      throw new Refusal(67, `Values in the index key pattern can be only 1 and -1, in '${path}'`);
  }
  keyFields(key, 67);
}

function isConjunction(filter: Filter): boolean {
  return filter.kind === 'predicate' || (filter.kind === 'and' && filter.of.every(isConjunction));
}

/** The index that is asked for again; it is another one when its key, `unique` or its filter differ: then its name must, too. */
function alike(collection: Collection, spec: Value): Index | undefined {
  if (spec.get('key')!.fields[0]![0] === '_id' && spec.get('key')!.fields.length === 1)
    throw new Refusal(197, 'the index on _id is there');
  const name = spec.get('name')!.text;
  for (const index of collection.indexes) {
    const { spec: there, name: its } = index;
    const equal = ['key', 'unique', 'partialFilterExpression'].every((option) => same(there, spec, option));
    if (equal && its === name && same(there, spec, 'expireAfterSeconds')) return index;
    if (its === name) throw new Refusal(86, `An existing index has the same name as the requested index: ${render(there)}`);
    if (equal) throw new Refusal(85, `Index already exists with a different name: ${its}`);
  }
  if (collection.indexes.length >= 64) throw new MongoError(67, `add index fails, too many indexes for ${collection.namespace}`);
  return undefined;
}

function same(one: Value, other: Value, option: string): boolean {
  const [a, b] = [one, other].map((spec) => spec.get(option) ?? (option === 'unique' ? value(false) : NULL));
  return equal(a!, b!);
}

const dropIndexes: Handler = (state, request) => {
  const [namespace, name] = [request.namespace, request.required('index').text];
  const collection = state.catalog.find(namespace);
  if (!collection) throw new MongoError(26, `ns not found ${namespace}`);
  const nIndexesWas = collection.indexes.length;
  if (name === '_id_') throw new MongoError(72, 'cannot drop _id index');
  const dropped = collection.indexes.slice(1).filter((index) => name === '*' || index.name === name);
  if (dropped.length === 0 && name !== '*') throw new Refusal(27, `index not found with name [${name}]`);
  for (const index of dropped) state.catalog.dropIndex(collection, index);
  return { nIndexesWas, ...(name === '*' ? { msg: 'non-_id indexes dropped for collection' } : {}) };
};

/** Of a find: the index that serves it and, unless asked for the plan only, what it reads. */
const explain: Handler = (state, outer) => {
  const inner = outer.argument;
  const verbosity = outer.text('verbosity') ?? '';
  if (inner.type !== T.OBJECT || !['queryPlanner', 'executionStats'].includes(verbosity))
    throw new Refusal(2, `explaining with verbosity '${verbosity}' is not supported`);
  const request = new Request(document([...inner.fields.filter(([name]) => name !== '$db'), ['$db', value(outer.db)]]));
  if (request.name !== 'find') throw new Refusal(59, `Explain failed due to unknown command: ${request.name}`);
  request.checkCommand('find');
  const { namespace, query } = findIn(request);
  const collection = state.catalog.find(namespace);
  const plan = collection && choosePlan(collection, query);
  const queryPlanner = { namespace, winningPlan: plan ? describe(plan) : { stage: 'EOF' }, rejectedPlans: [] };
  if (verbosity === 'queryPlanner') return { queryPlanner };
  const tally = { keys: 0, docs: 0 };
  const nReturned = collection ? [...run(collection, query, plan, tally)].length : 0;
  const executionStats = { executionSuccess: true, nReturned, totalKeysExamined: tally.keys, totalDocsExamined: tally.docs };
  return { queryPlanner, executionStats };
};

function describe({ index, backward, sorted }: Plan): Plain {
  const direction = backward ? 'backward' : 'forward';
  const scan = index && { keyPattern: index.spec.get('key')!, indexName: index.name, isMultiKey: false, direction };
  const source: Plain = scan ? { stage: 'FETCH', inputStage: { stage: 'IXSCAN', ...scan } } : { stage: 'COLLSCAN', direction };
  return sorted ? source : { stage: 'SORT', inputStage: source };
}

const nothing: Handler = () => ({});

// prettier-ignore
export const ADMIN_COMMANDS = {
  hello, buildInfo, ping: nothing, endSessions: nothing, create, dropDatabase, listCollections, listIndexes, createIndexes,
  dropIndexes, explain,
};
