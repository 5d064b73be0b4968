import { ACCEPTED, use } from './accepted';
import { MongoError, Refusal } from './errors';
import { T, type Field, type Value } from './value';

const GENERAL: ReadonlySet<string> = new Set(ACCEPTED.general);
const TRANSACTION: ReadonlySet<string> = new Set(['txnNumber', 'startTransaction', 'autocommit']);

/** A command as it came in: its body, and the document sequences beside it. */
export class Request {
  readonly name: string;
  readonly argument: Value;
  readonly db: string;

  constructor(
    readonly body: Value,
    readonly sequences: ReadonlyMap<string, readonly Value[]> = new Map(),
  ) {
    const [name, argument] = body.fields[0] ?? [];
    if (name === undefined || !argument) throw new MongoError(9, 'a command needs a name');
    this.name = name;
    this.argument = argument;
    const db = body.get('$db');
    if (db?.type !== T.STRING) throw new MongoError(40571, 'OP_MSG requests require a $db argument');
    this.db = db.text;
    if (!/^[^/\\. "$\0]{1,63}$/.test(this.db)) throw new MongoError(73, `Invalid database name: '${this.db}'`);
  }

  /** @throws MongoError 40415 for a field that is not accepted, 20 for one that belongs to a transaction */
  check(command: string, accepted: readonly string[] | null): void {
    use('command', command);
    if (!accepted) return;
    for (const [name] of this.body.fields.slice(1)) {
      if (TRANSACTION.has(name))
        throw new MongoError(20, 'Transaction numbers are only allowed on a replica set member or mongos');
      if (GENERAL.has(name)) continue;
      if (!accepted.includes(name)) throw unknown(command, name);
      use(`command.${command}`, name);
    }
    for (const name of this.sequences.keys()) if (!accepted.includes(name)) throw unknown(command, name);
  }

  /** `database.collection`, from the command's own argument. */
  get namespace(): string {
    return this.namespaceOf(this.argument);
  }

  namespaceOf(name: Value): string {
    if (name.type !== T.STRING) throw new MongoError(73, `Collection name has invalid type ${name.typeName}`);
    const text = name.text;
    if (text === '' || text.startsWith('.') || text.includes('$') || text.includes('\0') || text.startsWith('system.')) {
      throw new MongoError(73, `Invalid namespace specified '${this.db}.${text}'`);
    }
    if (Buffer.byteLength(`${this.db}.${text}`) > 255) {
      throw new MongoError(73, `Fully qualified namespace is too long. Namespace: ${this.db}.${text} Max: 255`);
    }
    return `${this.db}.${text}`;
  }

  get(name: string): Value | undefined {
    return this.body.get(name);
  }

  document(name: string): Value | undefined {
    return documentIn(this.body, name, `${this.name}.${name}`);
  }

  flag(name: string): boolean | undefined {
    return flagIn(this.body, name, `${this.name}.${name}`);
  }

  /** A whole number that is not negative; null counts as absent. */
  count(name: string): number | undefined {
    return countOf(this.get(name), `${this.name}.${name}`);
  }

  /** The documents of an array or of a document sequence. */
  list(name: string): readonly Value[] {
    const given = this.sequences.get(name) ?? elements(this.get(name), `${this.name}.${name}`);
    for (const [at, each] of given.entries())
      if (each.type !== T.OBJECT) throw wrongType(`${this.name}.${name}.${at}`, each, 'object');
    return given;
  }
}

function unknown(command: string, field: string): MongoError {
  return new Refusal(40415, `BSON field '${command}.${field}' is an unknown field.`);
}

export function wrongType(field: string, value: Value, expected: string): MongoError {
  const list = expected.includes(',') ? `expected types '[${expected}]'` : `expected type '${expected}'`;
  return new MongoError(14, `BSON field '${field}' is the wrong type '${value.typeName}', ${list}`);
}

export function missing(field: string): MongoError {
  return new MongoError(40414, `BSON field '${field}' is missing but a required field`);
}

export function elements(value: Value | undefined, field: string): readonly Value[] {
  if (!value) throw missing(field);
  if (value.type !== T.ARRAY) throw wrongType(field, value, 'array');
  return value.fields.map(([, each]) => each);
}

export function documentIn(of: Value, name: string, field: string): Value | undefined {
  const found = of.get(name);
  if (!found || found.type === T.OBJECT) return found;
  throw wrongType(field, found, 'object');
}

export function flagIn(of: Value, name: string, field: string): boolean | undefined {
  const found = of.get(name);
  if (!found) return undefined;
  if (found.type === T.BOOL) return found.truthy;
  throw new Refusal(14, `BSON field '${field}' is the wrong type '${found.typeName}', expected type 'bool'`);
}

export function countOf(value: Value | undefined, field: string): number | undefined {
  if (!value || value.type === T.NULL) return undefined;
  if (!value.isNumber || value.type === T.DECIMAL) throw wrongType(field, value, 'long, double, decimal, int');
  const number = Math.trunc(value.number);
  if (!(number >= 0))
    throw new Refusal(51024, `BSON field '${field.split('.').at(-1)}' value must be >= 0, actual value '${number}'`);
  if (number > Number.MAX_SAFE_INTEGER) throw new MongoError(2, `BSON field '${field}' is too large`);
  return number;
}

/** The fields of one of a command's parts, each of them known. */
export function checkFields(part: Value, accepted: readonly string[], where: string): readonly Field[] {
  for (const [name] of part.fields) if (!accepted.includes(name)) throw unknown(where, name);
  return part.fields;
}

/** @returns whether the writer wants an answer */
export function checkWriteConcern(request: Request): void {
  const concern = request.document('writeConcern');
  for (const [name, value] of concern?.fields ?? []) {
    const fits =
      name === 'w'
        ? (value.isNumber && (value.number === 0 || value.number === 1)) || (value.type === T.STRING && value.text === 'majority')
        : name === 'j' && value.type === T.BOOL;
    if (!fits) throw new Refusal(2, `the write concern's ${name} is not supported here`);
  }
}
