import { type ValidateFunction } from 'ajv';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { ajv } from '../../testing';
import { asyncApiDocument, CHANNELS } from './async-api';
import { exportedDocuments } from './documents';
import { closed, isObject, type Json, resolve, withoutReferences } from './json-schema';
import { schemaOf } from './messages';

/** Many operations have the same schemas. */
const compiled = new Map<string, ValidateFunction>();

function wrong(schema: unknown, value: unknown): string {
  const key = JSON.stringify(schema);
  const validate = compiled.get(key) ?? ajv.compile(closed(schema) as object);
  compiled.set(key, validate);
  return validate(value) ? '' : `${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`;
}

const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

describe('the documents', () => {
  let written: Awaited<ReturnType<typeof exportedDocuments>>;
  let document: Json;
  /** `operationId → operation`, without references. */
  let operations: [string, Json][];
  beforeAll(async () => {
    written = await exportedDocuments();
    document = JSON.parse(written.openapi) as Json;
    const paths = Object.values(withoutReferences(document, document.paths) as Json);
    operations = paths
      .flatMap((item) => Object.values(item as Json))
      .filter(isObject)
      .map((operation) => [String(operation.operationId), operation]);
  });

  it('in the package are those of the code; `npm run documents` refreshes them', async () => {
    expect(readFileSync('apps/api/openapi.json', 'utf8') === written.openapi).toBe(true);
    expect(readFileSync('apps/api/asyncapi.json', 'utf8') === written.asyncapi).toBe(true);
    const check = [
      'node_modules/.bin/openapi-typescript',
      'apps/api/openapi.json',
      '--output',
      'libs/client/src/api.ts',
      '--check',
    ];
    await expect(promisify(execFile)(process.execPath, check)).resolves.toBeTruthy();
  });

  it('say of every operation who may call it, what it is and what it answers', () => {
    expect(operations.length).toBeGreaterThan(45);
    for (const [id, { summary, tags, security, responses }] of operations) {
      expect([id, typeof summary, objects(document.tags).some(({ name }) => (tags as unknown[]).includes(name))]).toEqual([
        id,
        'string',
        true,
      ]);
      expect([id, Array.isArray(security)]).toEqual([id, true]);
      expect([id, Object.keys(responses as Json).some((status) => status.startsWith('2') || status === '302')]).toEqual([
        id,
        true,
      ]);
    }
    const ids = operations.map(([id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('list every code that each error can have', () => {
    for (const [id, { responses }] of operations) {
      for (const [status, answer] of Object.entries(responses as Json)) {
        const media = ((answer as Json).content ?? {}) as Json;
        if (Number(status) < 400 || 'application/json' in media) continue; // readiness answers the same either way
        const problem = media['application/problem+json'] as {
          schema: { allOf: [Json, { properties: { code: { enum: unknown } } }] };
        };
        expect([id, status, problem.schema.allOf[1].properties.code.enum]).toEqual([
          id,
          status,
          expect.arrayContaining([expect.any(String)]),
        ]);
      }
    }
  });

  it('have examples that are as they say', () => {
    const found: [string, unknown, unknown][] = [];
    for (const [id, { requestBody, responses }] of operations) {
      const bodies = [['request', requestBody], ...Object.entries(responses as Json)] as [string, Json | undefined][];
      for (const [where, body] of bodies) {
        for (const media of Object.values((body?.content ?? {}) as Readonly<Record<string, Json>>)) {
          const several = Object.values((media.examples ?? {}) as Readonly<Record<string, Json>>).map(({ value }) => value);
          const examples = [...('example' in media ? [media.example] : []), ...several];
          expect([id, where, examples.length > 0]).toEqual([id, where, true]);
          found.push(...examples.map((example): [string, unknown, unknown] => [`${id} ${where}`, media.schema, example]));
        }
      }
    }
    for (const [where, schema, example] of found) expect([where, wrong(schema, example)]).toEqual([where, '']);
    expect(found.length).toBeGreaterThan(400);
  });

  it('bound what is sent, and take nothing that they do not name', () => {
    const unbounded: string[] = [];
    const look = (where: string, schema: unknown): void => {
      if (!isObject(schema)) return;
      const types = [schema.type].flat();
      if (isObject(schema.properties)) {
        if (schema.additionalProperties !== false) unbounded.push(`${where} takes anything`);
        Object.entries(schema.properties).forEach(([name, member]) => look(`${where}.${name}`, member));
      }
      if (
        types.includes('string') &&
        !['enum', 'const', 'maxLength', 'pattern', 'format', 'contentEncoding'].some((key) => key in schema)
      )
        unbounded.push(where);
      if (types.includes('integer') && !('minimum' in schema && 'maximum' in schema)) unbounded.push(where);
      look(`${where}[]`, schema.items);
      for (const one of [schema.anyOf, schema.oneOf, schema.allOf].flatMap(objects)) look(where, one);
    };
    for (const [id, { parameters, requestBody }] of operations) {
      for (const { name, schema } of objects(parameters)) look(`${id} ${String(name)}`, schema);
      const media = (isObject(requestBody) ? requestBody.content : {}) as Json;
      Object.values(media).forEach((one) => look(id, (one as Json).schema));
    }
    expect(unbounded).toEqual([]);
  });

  it('name only what is there', () => {
    const look = (node: unknown, whole: Json): void => {
      if (Array.isArray(node)) node.forEach((item) => look(item, whole));
      if (!isObject(node)) return;
      if (typeof node.$ref === 'string' && node.$ref.startsWith('#/components/')) resolve(whole, node.$ref);
      Object.values(node).forEach((value) => look(value, whole));
    };
    look(document, document);
    look(asyncApiDocument(), asyncApiDocument());
    expect(() => resolve(document, '#/components/schemas/Nothing')).toThrow('no #/components/schemas/Nothing');
  });

  it('have messages whose examples are as they say', () => {
    for (const [name, { fromClient, fromServer }] of Object.entries(CHANNELS)) {
      for (const [type, message] of [...Object.entries(fromClient), ...Object.entries(fromServer)]) {
        const schema = schemaOf(type, message, false);
        expect([name, type, wrong(schema, { type, ...message.example })]).toEqual([name, type, '']);
        expect([name, type, wrong(schema, { type, ...message.example, else: 1 })]).not.toEqual([name, type, '']);
      }
    }
  });
});
