import * as client from '@kubernetes/client-node';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type Fields, type Rendered } from './kustomize';

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

interface Model {
  getAttributeTypeMap(): readonly Attribute[];
}

const MODELS = join(dirname(createRequire(__filename).resolve('@kubernetes/client-node')), 'gen/models');
const PLAIN: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  IntOrString: (value) => typeof value === 'string' || Number.isInteger(value),
  any: () => true,
};

/**
 * What is wrong with an object by the API of today, which `@kubernetes/client-node` has as classes made from its OpenAPI document:
 * fields that there are not, values of another type, fields that are missing. Which words an enumeration has is not in there.
 */
export function faultsOf(object: Rendered): readonly string[] {
  const version = object.apiVersion.split('/').at(-1) ?? '';
  const name = version.charAt(0).toUpperCase() + version.slice(1) + object.kind;
  if (!modelOf(name)) return [`${object.apiVersion} has no ${object.kind}`];
  return faultsIn(object, name, object.kind);
}

function faultsIn(value: unknown, type: string, at: string): readonly string[] {
  const listed = /^Array<(.+)>$/.exec(type)?.[1];
  if (listed !== undefined) {
    if (!Array.isArray(value)) return [`${at} is no list`];
    return value.flatMap((item, index) => faultsIn(item, listed, `${at}[${index}]`));
  }
  const mapped = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (mapped !== undefined) {
    if (!isFields(value)) return [`${at} is no object`];
    return Object.entries(value).flatMap(([key, item]) => faultsIn(item, mapped, `${at}.${key}`));
  }
  const isPlain = PLAIN[type];
  if (isPlain) return isPlain(value) ? [] : [`${at} is no ${type}`];
  const model = modelOf(type);
  if (!model) return [`${at} is of the unknown type ${type}`];
  if (!isFields(value)) return [`${at} is no object`];
  const attributes = new Map(model.getAttributeTypeMap().map(({ baseName, type: of }) => [baseName, of]));
  const missing = requiredOf(type).filter((field) => value[field] === undefined);
  return [
    ...missing.map((field) => `${at}.${field} is missing`),
    ...Object.entries(value).flatMap(([field, item]) => {
      const of = attributes.get(field);
      return of === undefined ? [`${at}.${field} is no field`] : faultsIn(item, of, `${at}.${field}`);
    }),
  ];
}

function modelOf(type: string): Model | null {
  const found = (client as unknown as Readonly<Record<string, Model | undefined>>)[type];
  return typeof found?.getAttributeTypeMap === 'function' ? found : null;
}

/** Which fields must be there only the declarations tell. */
function requiredOf(type: string): readonly string[] {
  const declaration = readFileSync(join(MODELS, `${type}.d.ts`), 'utf8');
  return [...declaration.matchAll(/^ {4}'(\w+)': /gm)].map(([, field]) => field ?? '');
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
