import { isObject, type Json, resolve } from './json-schema';

const ID = '66b1f0a2c3d4e5f601234567';
const TIME = '2027-01-31T12:00:00.000Z';

/** A typical value of what is called so, where its schema alone would give a dull or a wrong one. */
const BY_NAME: Readonly<Record<string, unknown>> = {
  access_token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI2NmIxIn0.c2lnbmF0dXJl',
  action: 'session.revoked',
  auto_stop_minutes: 30,
  category: 'language',
  code: 'required',
  // The pair of RFC 7636, appendix B.
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
  cursor: 'MTc5ODcyNTYwMDAwMC42NmIxZjBhMmMzZDRlNWY2MDEyMzQ1Njc',
  description: 'Where the shop is built',
  detail: 'A sentence for people',
  display_name: 'Ubuntu',
  email: 'ada@example.com',
  environment_variables: { LANG: 'C.UTF-8' },
  expires_in: 1800,
  field: 'name',
  full_name: 'Ada Lovelace',
  icon_url: 'https://example.com/ubuntu.svg',
  documentation_url: 'https://example.com/ubuntu',
  image: 'ubuntu:24.04',
  ip: '203.0.113.7',
  key: 'dp_7Qm2xY4a_4hT9sLw2Zc8VbN1kRf6JpXq3Ud5GyEaM',
  kube_config: 'YXBpVmVyc2lvbjogdjEK',
  message: 'Done',
  name: 'shop',
  node_selector: { disk: 'ssd' },
  password: 'Correct-horse-1',
  current_password: 'Correct-horse-1',
  new_password: 'Battery-staple-2',
  prefix: 'dp_7Qm2xY4a',
  refresh_token: 'rt_1f2e3d4c5b6a',
  request_id: '0d8f2c1e-7a55-4b9e-9f0a-1c2d3e4f5a6b',
  scopes: ['env:read', 'terminal'],
  startup_commands: ['git --version'],
  tags: ['linux'],
  target: `user:${ID}`,
  template: 'ubuntu',
  ticket: 'tk_9a8b7c6d5e4f',
  token: 'mt_0a1b2c3d4e5f',
  user_agent: 'DevPocket/1.0 (Android 16)',
  username: 'ada',
  username_or_email: 'ada',
};

/** One value that the schema allows, made from its own examples, its limits and the names of its members. */
export function exampleOf(document: Json, schema: unknown, name = ''): unknown {
  if (!isObject(schema)) return null;
  if (typeof schema.$ref === 'string') return exampleOf(document, resolve(document, schema.$ref), name);
  if (Array.isArray(schema.examples)) return schema.examples[0];
  if (schema.example !== undefined) return schema.example;
  if (schema.const !== undefined) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if (isObject(schema.properties)) {
    return Object.fromEntries(
      Object.entries(schema.properties).map(([member, type]) => [member, exampleOf(document, type, member)]),
    );
  }
  if (Array.isArray(schema.allOf)) {
    return Object.assign({}, ...schema.allOf.map((part) => exampleOf(document, part, name))) as unknown;
  }
  const choice = [schema.oneOf, schema.anyOf].flat().find((one) => one !== undefined);
  if (choice !== undefined) return exampleOf(document, choice, name);
  const type = [schema.type].flat()[0];
  const named = BY_NAME[name];
  if (named !== undefined && typeOf(named) === type) return named;
  switch (type) {
    case 'array':
      return [exampleOf(document, schema.items, name)];
    case 'integer':
    case 'number':
      return typeof schema.minimum === 'number' ? Math.max(1, schema.minimum) : 1;
    case 'boolean':
      return true;
    case 'object':
      return {};
    case 'string':
      return textOf(schema, name);
    default:
      return null;
  }
}

function textOf({ format, pattern }: Json, name: string): string {
  if (format === 'date-time') return TIME;
  if (format === 'uri') return 'https://example.com';
  if (format === 'email') return 'ada@example.com';
  return pattern === '^[0-9a-f]{24}$' || name === 'id' || name.endsWith('_id') ? ID : 'text';
}

function typeOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value === 'number' ? 'integer' : typeof value;
}
