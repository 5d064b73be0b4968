/** A JSON Schema (2020-12), or any other object of a document. */
export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Rewrites what the decorators say (OpenAPI 3.0's dialect) as JSON Schema 2020-12, which is OpenAPI 3.1's: there `null` is a type
 * like the others and examples are a list. In place, with all that it contains.
 */
export function modernise(node: unknown): void {
  if (Array.isArray(node)) node.forEach(modernise);
  if (!isObject(node)) return;
  Object.values(node).forEach(modernise);
  if (node.format === 'byte') {
    delete node.format;
    node.contentEncoding = 'base64';
  }
  if ('example' in node && !isObject(node.example)) {
    node.examples = [node.example];
    delete node.example;
  }
  if (node.nullable === true) allowNull(node);
}

function allowNull(schema: Json): void {
  delete schema.nullable;
  const { type, $ref, allOf, oneOf } = schema;
  if (Array.isArray(oneOf)) {
    oneOf.push({ type: 'null' });
  } else if (typeof type === 'string' && $ref === undefined && allOf === undefined) {
    schema.type = [type, 'null'];
    if (Array.isArray(schema.enum) && !schema.enum.includes(null)) schema.enum.push(null);
  } else {
    const [only] = Array.isArray(allOf) ? (allOf as unknown[]) : [{ $ref }];
    for (const key of ['type', '$ref', 'allOf']) Reflect.deleteProperty(schema, key);
    schema.anyOf = [only, { type: 'null' }];
  }
}

const REFERENCE = '#/components/';

/** What a `$ref` into the document's components names. @throws Error for one that names nothing */
export function resolve(document: Json, $ref: string): Json {
  const found = $ref
    .slice(2)
    .split('/')
    .reduce<unknown>((at, key) => (isObject(at) ? at[key.replaceAll('~1', '/').replaceAll('~0', '~')] : undefined), document);
  if (!$ref.startsWith(REFERENCE) || !isObject(found)) throw new Error(`The document has no ${$ref}`);
  return found;
}

/** A copy in which every `$ref` is replaced by what it names. Our schemas do not contain themselves. */
export function withoutReferences(document: Json, node: unknown): unknown {
  if (Array.isArray(node)) return node.map((item) => withoutReferences(document, item));
  if (!isObject(node)) return node;
  const { $ref, ...rest } = node;
  const named = typeof $ref === 'string' ? (withoutReferences(document, resolve(document, $ref)) as Json) : {};
  return {
    ...named,
    ...Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, withoutReferences(document, value)])),
  };
}

/**
 * A copy that takes no member that it does not name, for tests: to clients an answer may grow.
 * @param schema without references
 */
export function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (!isObject(schema)) return schema;
  // The parts of an `allOf` know nothing of each other: only the whole can be closed.
  const { allOf, ...rest } = schema;
  const copy = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key, key === 'enum' || key === 'const' ? value : closed(value)]),
  );
  if (Array.isArray(allOf)) return { ...copy, allOf, unevaluatedProperties: false };
  return isObject(schema.properties) && schema.additionalProperties === undefined
    ? { ...copy, additionalProperties: false }
    : copy;
}

/** Closes the components that the schema is made of, in place: the server refuses unknown members of what it is sent. */
export function closeForInput(document: Json, schema: unknown): void {
  if (Array.isArray(schema)) schema.forEach((item) => closeForInput(document, item));
  if (!isObject(schema)) return;
  if (typeof schema.$ref === 'string') closeForInput(document, resolve(document, schema.$ref));
  if (isObject(schema.properties)) schema.additionalProperties ??= false;
  Object.values(schema).forEach((value) => closeForInput(document, value));
}
