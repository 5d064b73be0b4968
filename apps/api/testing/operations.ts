import { type OpenAPIObject } from '@nestjs/swagger';

type Schema = Readonly<Record<string, unknown>>;

/** What the document says of one call. */
export interface Operation {
  readonly method: string;
  /** Below `/api/v1`, or beginning with `//` for what stands at the root; with `{parameters}`. */
  readonly path: string;
  readonly pathParameters: readonly string[];
  readonly queryParameters: readonly string[];
  /** Members of the body, `a.b` for those of objects in it; null: it takes none. */
  readonly members: readonly string[] | null;
}

const isObject = (value: unknown): value is Schema => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every call that a document tells of. */
export function operationsOf(document: OpenAPIObject): Operation[] {
  const resolve = (schema: unknown): Schema => {
    if (!isObject(schema)) return {};
    if (typeof schema.$ref !== 'string') return schema;
    return resolve(document.components?.schemas?.[schema.$ref.replace('#/components/schemas/', '')]);
  };
  const membersOf = (schema: unknown, prefix = ''): string[] =>
    Object.entries(resolve(resolve(schema).properties)).flatMap(([name, member]) => [
      `${prefix}${name}`,
      ...membersOf(member, `${prefix}${name}.`),
    ]);
  return Object.entries(document.paths).flatMap(([path, item]) =>
    (['get', 'post', 'put', 'patch', 'delete'] as const).flatMap((method) => {
      const operation = item[method];
      if (!operation) return [];
      const parameters = (operation.parameters ?? []).flatMap((one) => ('$ref' in one ? [] : [one]));
      const named = (where: string): string[] => parameters.filter((one) => one.in === where).map(({ name }) => name);
      const body = operation.requestBody;
      const schema = body && !('$ref' in body) ? body.content['application/json']?.schema : undefined;
      const short = path.startsWith('/api/v1') ? path.slice('/api/v1'.length) : `/${path}`;
      return [
        {
          method: method.toUpperCase(),
          path: short,
          pathParameters: named('path'),
          queryParameters: named('query'),
          members: schema === undefined ? null : membersOf(schema),
        },
      ];
    }),
  );
}

/** Puts a value for a member, `a.b` in an object within. */
export function withMember(body: Readonly<Record<string, unknown>>, member: string, value: unknown): Record<string, unknown> {
  const [name = '', ...rest] = member.split('.');
  const inner = body[name];
  return { ...body, [name]: rest.length === 0 ? value : withMember(isObject(inner) ? inner : {}, rest.join('.'), value) };
}
