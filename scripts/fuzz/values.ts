import fc from 'fast-check';
import { isObject, type Json } from '../../apps/api/src/documents/json-schema';

/** Names and words that earlier requests may have used too: only then do they meet. */
const WORDS = ['one', 'two', 'three', 'ubuntu', 'python', 'nodejs', 'custom', 'ada', 'root', 'x'];

/** Texts that have broken servers before. */
const HOSTILE_TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\udfff\ud800',
  '\u202eabc',
  'ﬀ',
  'İ',
  '😀'.repeat(40),
  'é'.normalize('NFD'),
  '../../etc/passwd',
  '..%2f..%2fetc',
  '%00',
  '%ff',
  '%',
  "' OR 1=1 --",
  '$where',
  '{"$gt":""}',
  '$ne',
  'a.b.c',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  'NaN',
  '-1',
  '1e309',
  '0x10',
  '<script>alert(1)</script>',
  '\r\nX-Injected: 1',
  'a@example.com\r\nBcc: b@example.com',
  `${'a'.repeat(64)}@${'b'.repeat(63)}.example`,
  'a'.repeat(10_000),
  `${'('.repeat(5_000)}${')'.repeat(5_000)}`,
  '9'.repeat(400),
  '0001-01-01T00:00:00Z',
  '+275760-09-13T00:00:00Z',
  '2027-02-31T12:00:00Z',
  '2027-01-31T12:00:00+99:99',
  '${jndi:ldap://x}',
  '{{7*7}}',
];

const HOSTILE_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1.5,
  1e308,
  Number.MAX_SAFE_INTEGER,
  2 ** 53,
  2 ** 31,
  -(2 ** 63),
  [],
  {},
  [[]],
  [null],
  [{}],
  { $gt: '' },
  { $ne: null },
  { $where: 'sleep(1000)' },
  { $regex: '.*' },
  { toString: 1 },
  { length: 1e9 },
  { constructor: { prototype: { polluted: true } } },
  JSON.parse('{"__proto__":{"polluted":true}}'),
  ['x', { $in: [1] }],
  Array.from({ length: 500 }, () => 'x'),
  Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${n}`, 'v'])),
  nested(50),
];

function nested(depth: number): unknown {
  return depth === 0 ? 'deep' : depth % 2 === 0 ? [nested(depth - 1)] : { a: nested(depth - 1) };
}

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...HOSTILE_TEXTS),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
);

const hostile: fc.Arbitrary<unknown> = fc.oneof(hostileText, fc.constantFrom(...HOSTILE_VALUES), fc.jsonValue({ maxDepth: 4 }));

/** What is good beyond its schema: rules that tie members to each other or to a plan. */
const GOOD: Readonly<Record<string, readonly unknown[]>> = {
  template: ['ubuntu', 'python'],
  image: [null],
  auto_stop_minutes: [null, 5, 30],
  cpu: ['100m', '500m'],
  memory: ['64Mi', '1Gi'],
  storage: ['1Gi', '5Gi'],
  endpoint: [null, 'https://cluster.example'],
  storage_class: [null, 'fast'],
  runtime_class_name: [null, 'gvisor'],
  node_selector: [{}, { disk: 'ssd' }],
  image_pull_secrets: [[], ['pull']],
  tolerations: [[]],
};

/** A value that the schema allows, and mostly one that the server takes. @param schema without references */
export function valid(schema: unknown, name = ''): fc.Arbitrary<unknown> {
  const good = GOOD[name];
  const any = allowed(schema, name);
  return good ? fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...good) }, any) : any;
}

function allowed(schema: unknown, name: string): fc.Arbitrary<unknown> {
  if (!isObject(schema)) return fc.constant(null);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (Array.isArray(schema.enum)) return fc.constantFrom(...(schema.enum as unknown[]));
  const choices = [schema.anyOf, schema.oneOf].flat().filter(isObject);
  if (choices.length > 0) return fc.oneof(...choices.map((choice) => valid(choice, name)));
  const types = [schema.type].flat();
  return fc.oneof(...types.map((type) => ofType(String(type), schema, name)));
}

function ofType(type: string, schema: Json, name: string): fc.Arbitrary<unknown> {
  const bound = (key: string, otherwise: number): number => (typeof schema[key] === 'number' ? schema[key] : otherwise);
  switch (type) {
    case 'string':
      return text(schema, name);
    case 'integer':
      return fc.oneof(
        fc.integer({ min: bound('minimum', -10), max: bound('maximum', 1_000) }),
        fc.constantFrom(bound('minimum', 0), bound('maximum', 100)),
      );
    case 'number':
      return fc.double({ min: bound('minimum', -10), max: bound('maximum', 1_000), noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return schema.uniqueItems === true
        ? fc.uniqueArray(valid(schema.items, name), { minLength: bound('minItems', 0), maxLength: 4 })
        : fc.array(valid(schema.items, name), { minLength: bound('minItems', 0), maxLength: 4 });
    case 'object':
      return members(schema, (member, key) => valid(member, key));
    default:
      return fc.constant(null);
  }
}

const EMAILS = WORDS.map((word) => `${word}@example.com`);
export const PASSWORD = 'Correct-horse-1';
const KUBE_CONFIG = Buffer.from(
  JSON.stringify({
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    clusters: [{ name: 'a', cluster: { server: 'https://cluster.example' } }],
    users: [{ name: 'a', user: { token: 'x' } }],
  }),
).toString('base64');
const QUANTITIES = ['100m', '250m', '1', '2', '64Mi', '512Mi', '1Gi', '5Gi', '0', '1e3', '999Gi'];

function text({ format, pattern, minLength, maxLength, contentEncoding }: Json, name: string): fc.Arbitrary<string> {
  if (format === 'email') return fc.oneof(fc.constantFrom(...EMAILS), fc.emailAddress());
  if (format === 'password')
    return fc.oneof({ weight: 5, arbitrary: fc.constant(PASSWORD) }, fc.string({ minLength: 1, maxLength: 100 }));
  if (format === 'date-time')
    return fc
      .date({ min: new Date('1990-01-01'), max: new Date('2090-01-01'), noInvalidDate: true })
      .map((date) => date.toISOString());
  if (format === 'uri') return fc.webUrl();
  if (contentEncoding === 'base64') return fc.oneof(fc.constant(KUBE_CONFIG), fc.base64String({ maxLength: 400 }));
  if (name === 'cpu' || name === 'memory' || name === 'storage') return fc.constantFrom(...QUANTITIES);
  if (typeof pattern === 'string') {
    const matching = fc.stringMatching(new RegExp(pattern.replace(/\(\?!-\)|\(\?<!-\)/g, '')));
    const words = WORDS.filter((word) => new RegExp(pattern).test(word));
    return words.length > 0 ? fc.oneof(fc.constantFrom(...words), matching) : matching;
  }
  const [min, max] = [Number(minLength ?? 0), Math.min(Number(maxLength ?? 200), 200)];
  return fc.oneof(
    fc.constantFrom(...WORDS.filter(({ length }) => length >= min && length <= max)),
    fc.string({ unit: 'grapheme', minLength: min, maxLength: Math.floor(max / 2) + min }),
  );
}

function members(schema: Json, value: (member: unknown, name: string) => fc.Arbitrary<unknown>): fc.Arbitrary<Json> {
  if (!isObject(schema.properties)) {
    const names = fc.oneof(fc.constantFrom('PATH', 'A', 'toString', '_x1'), fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,10}$/));
    return fc.dictionary(names, value(schema.additionalProperties, ''), { maxKeys: 4 });
  }
  const required = (schema.required ?? []) as string[];
  const model = Object.fromEntries(Object.entries(schema.properties).map(([name, member]) => [name, value(member, name)]));
  return fc.record(model, { requiredKeys: required.filter((name) => name in model) });
}

/** A valid value with one or two things wrong, or something else altogether. */
export function faulty(schema: unknown, name = ''): fc.Arbitrary<unknown> {
  if (!isObject(schema) || !isObject(schema.properties)) return fc.oneof(hostile, valid(schema, name));
  const names = Object.keys(schema.properties);
  const whole = members(schema, (member, key) => valid(member, key));
  const broken = fc.tuple(whole, fc.constantFrom(...names, 'unknown', '__proto__', 'role', '$set'), hostile);
  return fc.oneof(
    broken.map(([value, key, bad]) => withMember(value, key, bad)),
    fc.tuple(whole, fc.constantFrom(...names)).map(([value, key]) => {
      const { [key]: _gone, ...rest } = value;
      return rest;
    }),
    members(schema, () => hostile),
    hostile,
  );
}

/** A literal `__proto__` is a member too, once it is JSON. */
function withMember(value: Json, key: string, member: unknown): Json {
  const copy = { ...value };
  Object.defineProperty(copy, key, { value: member, enumerable: true, configurable: true, writable: true });
  return copy;
}
