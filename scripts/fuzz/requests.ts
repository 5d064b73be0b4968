import fc from 'fast-check';
import { isObject, type Json, withoutReferences } from '../../apps/api/src/documents/json-schema';
import { faulty, hostileText, valid } from './values';

/** Who calls; what their tokens are is known when the request is sent. */
export const CALLERS = ['nobody', 'user', 'other', 'admin', 'reader', 'writer', 'terminal', 'adminKey', 'garbage'] as const;
export type CallerName = (typeof CALLERS)[number];

/** Whose account a caller acts for. */
export const ACTS_FOR: Partial<Record<CallerName, CallerName>> = {
  reader: 'user',
  writer: 'user',
  terminal: 'user',
  adminKey: 'admin',
};

/** An id that an earlier answer told to this caller or another, counted back from the newest; or a text. */
export type PathValue = { readonly known: number; readonly of: CallerName | null } | { readonly text: string };

/** One call, as the generator thinks it up. */
export interface Call {
  readonly operation: string;
  readonly method: string;
  /** With its holes, as in the document. */
  readonly path: string;
  readonly caller: CallerName;
  readonly params: Readonly<Record<string, PathValue>>;
  readonly query: readonly (readonly [string, string])[];
  readonly headers: Readonly<Record<string, string>>;
  /** Null: none. */
  readonly body: string | Uint8Array<ArrayBuffer> | null;
  readonly type: string;
}

/** What HTTP lets stand in a field value. */
const fieldValue = (text: string): string => text.replace(/[^\x20-\x7e]/g, '').trim();
const HEADER_TEXTS = [
  'x',
  '"abc"',
  'W/"abc"',
  '*',
  '',
  'a'.repeat(128),
  'a'.repeat(129),
  'é',
  ' , , ',
  '\t',
  '"',
  "'; drop table",
];
const headerText = fc.oneof(fc.constantFrom(...HEADER_TEXTS), fc.string({ maxLength: 60 }).map(fieldValue));

const BROKEN_BODIES = [
  '{',
  '[',
  '"',
  '{"a":}',
  'nul',
  '\ufeff{}',
  '{"a":1,}',
  `${'['.repeat(3_000)}${']'.repeat(3_000)}`,
  `{"a":"${'x'.repeat(70_000)}"}`,
];
const TYPES = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/json; charset=utf-16',
  'multipart/form-data',
  'x/y',
  '',
];

const json = (value: fc.Arbitrary<unknown>): fc.Arbitrary<Pick<Call, 'body' | 'type'>> =>
  value.map((one) => ({ body: JSON.stringify(one) ?? '', type: 'application/json' }));

const body = (schema: unknown): fc.Arbitrary<Pick<Call, 'body' | 'type'>> => {
  return fc.oneof(
    { weight: 6, arbitrary: json(valid(schema)) },
    { weight: 6, arbitrary: json(faulty(schema)) },
    { weight: 1, arbitrary: fc.constantFrom(...BROKEN_BODIES).map((text) => ({ body: text, type: 'application/json' })) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => ({ body: bytes, type: 'application/json' })) },
    { weight: 1, arbitrary: fc.constantFrom(...TYPES).map((type) => ({ body: '{"a":1}', type })) },
    { weight: 1, arbitrary: fc.constant({ body: null, type: '' }) },
  );
};

const own: fc.Arbitrary<PathValue> = fc.nat({ max: 3 }).map((known) => ({ known, of: null }));

function pathValue(schema: unknown): fc.Arbitrary<PathValue> {
  return fc.oneof(
    { weight: 4, arbitrary: own },
    {
      weight: 4,
      arbitrary: fc.record({ known: fc.nat({ max: 12 }), of: fc.constantFrom<CallerName>('user', 'admin', 'other') }),
    },
    { weight: 2, arbitrary: valid(schema).map((text) => ({ text: String(text) })) },
    { weight: 2, arbitrary: hostileText.map((text) => ({ text: text.slice(0, 2_000) })) },
  );
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));

function goodQuery(parameters: readonly Json[]): fc.Arbitrary<[string, string][]> {
  const known = parameters
    .filter((parameter) => parameter.in === 'query' && !/cursor|after|ticket/.test(String(parameter.name)))
    .map(({ name, schema }) =>
      fc.option(valid(schema, String(name)).map((value): [string, string] => [String(name), asText(value)])),
    );
  return fc.tuple(...known).map((all) => all.filter((one) => one !== null));
}

function queryOf(parameters: readonly Json[]): fc.Arbitrary<[string, string][]> {
  const known = parameters
    .filter((parameter) => parameter.in === 'query')
    .map(({ name, schema }) =>
      fc.option(
        fc
          .oneof(valid(schema, String(name)), hostileText, fc.constantFrom('0', '-1', '1.5', '1e3', '101', ''))
          .map((value): [string, string] => [String(name), asText(value)]),
        { freq: 2 },
      ),
    );
  const unknown = fc.option(fc.tuple(fc.constantFrom('x', 'limit[$gt]', 'limit', 'cursor', '__proto__'), hostileText), {
    freq: 10,
  });
  return fc.tuple(...known, unknown).map((all) => all.filter((one): one is [string, string] => one !== null));
}

function headersOf(parameters: readonly Json[]): fc.Arbitrary<Record<string, string>> {
  const model: Record<string, fc.Arbitrary<string>> = { 'x-request-id': headerText, accept: headerText };
  for (const { in: place, name, schema } of parameters) {
    if (place !== 'header') continue;
    model[String(name).toLowerCase()] = fc.oneof(
      fc.constantFrom('k1', 'k2', 'k3'),
      valid(schema).map((value) => fieldValue(String(value))),
      headerText,
    );
  }
  return fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Record<string, string>>;
}

/** Every operation of the document alike, called well, nearly well and badly. */
export function callsOf(document: Json): fc.Arbitrary<Call> {
  const paths = withoutReferences(document, document.paths) as Json;
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item as Json).map(([method, operation]) => callOf(path, method.toUpperCase(), operation as Json)),
  );
  return fc.oneof(...operations);
}

function callOf(path: string, method: string, operation: Json): fc.Arbitrary<Call> {
  const parameters = (Array.isArray(operation.parameters) ? operation.parameters : []).filter(isObject);
  const inPath = parameters.filter((parameter) => parameter.in === 'path');
  const content = isObject(operation.requestBody) ? (operation.requestBody.content as Json) : {};
  const media = content['application/json'];
  const none: Pick<Call, 'body' | 'type'> = { body: null, type: '' };
  const unasked = fc.oneof({ weight: 9, arbitrary: fc.constant(none) }, body({}));
  const sent = isObject(media) ? body(media.schema) : method === 'GET' ? fc.constant(none) : unasked;
  const param = (of: (schema: unknown) => fc.Arbitrary<PathValue>): fc.Arbitrary<Call['params']> =>
    fc.record(Object.fromEntries(inPath.map(({ name, schema }) => [String(name), of(schema)])));
  const needsAdmin = JSON.stringify(operation.security).includes('admin');
  const good = fc.record({
    caller: fc.constantFrom<CallerName>(...(needsAdmin ? (['admin'] as const) : (['user', 'admin'] as const))),
    params: param(() => own),
    query: goodQuery(parameters),
    headers: fc.constant({}),
    sent: isObject(media) ? json(valid(media.schema)) : fc.constant(none),
  });
  const wild = fc.record({
    caller: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom<CallerName>('user', 'admin') },
      { weight: 4, arbitrary: fc.constantFrom(...CALLERS) },
    ),
    params: param(pathValue),
    query: queryOf(parameters),
    headers: headersOf(parameters),
    sent,
  });
  return fc
    .oneof({ weight: 2, arbitrary: good }, { weight: 3, arbitrary: wild })
    .map(({ sent: { body: bytes, type }, ...rest }) => ({
      operation: String(operation.operationId),
      method,
      path,
      ...rest,
      body: bytes,
      type,
    }));
}
