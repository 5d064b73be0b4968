import { ACCEPTED, accepts, use, type Room } from './accepted';
import { MongoError, Refusal } from './errors';
import { T, type Value } from './value';

const GENERAL: readonly string[] = ACCEPTED.general;
const TRANSACTION: readonly string[] = ['txnNumber', 'startTransaction', 'autocommit'];

/** Fields of a command or of a part of it, each read with its type. */
export class Fields {
  /** @param where what messages call it, e.g. `update.updates` */
  constructor(
    readonly body: Value,
    readonly where: string,
  ) {}

  /** @throws MongoError 14 when it has another type */
  get(name: string, type: number, typeName: string): Value | undefined {
    const found = this.body.get(name);
    if (!found || found.type === type) return found;
    throw wrongType(`${this.where}.${name}`, found, typeName);
  }

  document(name: string): Value | undefined {
    return this.get(name, T.OBJECT, 'object');
  }

  text(name: string): string | undefined {
    return this.get(name, T.STRING, 'string')?.text;
  }

  flag(name: string): boolean {
    return this.get(name, T.BOOL, 'bool')?.truthy ?? false;
  }

  /** A whole number that is not negative. */
  count(name: string): number | undefined {
    const value = this.body.get(name);
    if (!value) return undefined;
    if (!value.isNumber || !Number.isSafeInteger(value.number))
      throw wrongType(`${this.where}.${name}`, value, 'long, double, decimal, int');
    if (value.number < 0) throw new Refusal(51024, `BSON field '${name}' value must be >= 0, actual value '${value.number}'`);
    return value.number;
  }

  list(name: string): readonly Value[] {
    return required(this.get(name, T.ARRAY, 'array'), `${this.where}.${name}`).items;
  }

  /** @throws MongoError 40415 for a field that is not accepted */
  check(room: Room): this {
    for (const [name] of this.body.fields) if (!accepts(room, name)) throw unknown(this.where, name);
    return this;
  }
}

/** A command as it came in: its body, and the document sequences beside it. */
export class Request extends Fields {
  readonly argument: Value;
  readonly db: string;

  constructor(
    body: Value,
    private readonly sequences: ReadonlyMap<string, readonly Value[]> = new Map(),
  ) {
    const [name, argument] = body.fields[0] ?? [];
    if (name === undefined || !argument) throw new MongoError(9, 'a command needs a name');
    super(body, name);
    this.argument = argument;
    const db = body.get('$db');
    if (db?.type !== T.STRING) throw new MongoError(40571, 'OP_MSG requests require a $db argument');
    this.db = db.text;
    if (!/^[^/\\. "$\0]{1,63}$/.test(this.db)) throw new MongoError(73, `Invalid database name: '${this.db}'`);
  }

  /** @throws MongoError 40415 for a field that is not accepted, 20 for one that belongs to a transaction */
  checkCommand(command: string, accepted: readonly string[] | null): void {
    use('command', command);
    if (!accepted) return;
    for (const name of [...this.body.fields.slice(1).map(([each]) => each), ...this.sequences.keys()]) {
      if (TRANSACTION.includes(name))
        throw new Refusal(20, 'Transaction numbers are only allowed on a replica set member or mongos');
      if (GENERAL.includes(name)) continue;
      if (!accepted.includes(name)) throw unknown(command, name);
      use(`command.${command}`, name);
    }
    const session = this.document('lsid');
    if (session && session.get('id')?.type !== T.BINARY) throw new Refusal(14, `BSON field '${command}.lsid.id' must be a UUID`);
    this.checkWriteConcern();
  }

  /** One server writes, durably: that is what w 1 and majority ask for, with or without j; 0 asks for less. */
  private checkWriteConcern(): void {
    for (const [name, value] of this.document('writeConcern')?.fields ?? []) {
      const fits =
        name === 'w'
          ? value.number === 0 || value.number === 1 || (value.type === T.STRING && value.text === 'majority')
          : name === 'j';
      if (!fits) throw new Refusal(2, `the write concern's ${name} is not supported here`);
    }
  }

  /** The first batch that the command's `cursor` asks for. */
  batchSizeOfCursor(): number | undefined {
    const cursor = this.document('cursor');
    const strange = cursor?.fields.find(([name]) => name !== 'batchSize');
    if (strange) throw unknown(`${this.where}.cursor`, strange[0]);
    return cursor && new Fields(cursor, `${this.where}.cursor`).count('batchSize');
  }

  /** `database.collection`, from the command's own argument. */
  get namespace(): string {
    const { type, typeName } = this.argument;
    if (type !== T.STRING) throw new MongoError(73, `Collection name has invalid type ${typeName}`);
    const { text } = this.argument;
    const whole = `${this.db}.${text}`;
    if (!/^(?!\.|system\.)[^$\0]+$/.test(text) || Buffer.byteLength(whole) > 255)
      throw new MongoError(73, `Invalid namespace specified '${whole}'`);
    return whole;
  }

  /** The documents of an array or of a document sequence. */
  documents(name: string): readonly Value[] {
    const given = this.sequences.get(name) ?? this.list(name);
    const wrong = given.findIndex(({ type }) => type !== T.OBJECT);
    if (wrong >= 0) throw wrongType(`${this.where}.${name}.${wrong}`, given[wrong]!, 'object');
    return given;
  }
}

function unknown(where: string, field: string): MongoError {
  return new Refusal(40415, `BSON field '${where}.${field}' is an unknown field.`);
}

/** Some of what has the wrong type here MongoDB would convert. */
function wrongType(field: string, value: Value, expected: string): MongoError {
  const list = expected.includes(',') ? `expected types '[${expected}]'` : `expected type '${expected}'`;
  return new Refusal(14, `BSON field '${field}' is the wrong type '${value.typeName}', ${list}`);
}

/** @throws MongoError 40414 when it is not there */
export function required(value: Value | undefined, field: string): Value {
  if (value) return value;
  throw new MongoError(40414, `BSON field '${field}' is missing but a required field`);
}
