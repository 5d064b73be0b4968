import { ACCEPTED, FIELDS, use, type Command, type Kind, type Part } from './accepted';
import { MongoError, Refusal } from './errors';
import { array, T, type Value } from './value';

const TRANSACTION: readonly string[] = ['txnNumber', 'startTransaction', 'autocommit'];
const TYPES: Readonly<Record<string, number>> = { object: T.OBJECT, string: T.STRING, bool: T.BOOL, array: T.ARRAY };
const MODES: readonly string[] = ['primary', 'primaryPreferred', 'secondary', 'secondaryPreferred', 'nearest'];

/** Fields of a command or of a part of it: none but those of the table, each of the kind told there. */
export class Fields {
  /**
   * @param where what messages call it, e.g. `update.updates`
   * @throws MongoError 40415 for a field that is not accepted, 14 for one of another kind
   */
  constructor(
    readonly body: Value,
    protected readonly where: string,
    part?: Part,
  ) {
    if (part) for (const [name, value] of body.fields) this.check(part, name, value);
  }

  protected check(part: string, name: string, value: Value): void {
    const kinds = FIELDS[part] ?? {};
    if (!Object.hasOwn(kinds, name)) throw new Refusal(40415, `BSON field '${this.where}.${name}' is an unknown field.`);
    use(part, name);
    this.checkKind(name, value, kinds[name]!);
  }

  protected checkKind(name: string, value: Value, kind: Kind): void {
    if (kind === 'any' || value.type === TYPES[kind]) return;
    if (kind === 'cursor' && value.type === T.OBJECT) {
      for (const [option, each] of value.fields) {
        if (option !== 'batchSize') throw new Refusal(40415, `BSON field 'cursor.${option}' is an unknown field.`);
        this.checkKind(option, each, 'count');
      }
      return;
    }
    if (kind === 'count' && value.isNumber && Number.isSafeInteger(value.number)) {
      if (value.number >= 0) return;
      throw new Refusal(51024, `BSON field '${name}' value must be >= 0, actual value '${value.number}'`);
    }
    throw wrongType(
      `${this.where}.${name}`,
      value,
      kind === 'count' ? 'long, double, decimal, int' : kind === 'cursor' ? 'object' : kind,
    );
  }

  document(name: string): Value | undefined {
    return this.body.get(name);
  }

  text(name: string): string | undefined {
    return this.body.get(name)?.text;
  }

  flag(name: string): boolean | undefined {
    return this.body.get(name)?.truthy;
  }

  count(name: string): number | undefined {
    return this.body.get(name)?.number;
  }

  /** @throws MongoError 40414 when it is not there */
  required(name: string): Value {
    const value = this.body.get(name);
    if (value) return value;
    throw new MongoError(40414, `BSON field '${this.where}.${name}' is missing but a required field`);
  }
}

/** A command as it came in: its body, and the document sequences beside it. */
export class Request extends Fields {
  readonly argument: Value;
  readonly db: string;

  /** @throws MongoError 73 for a database that cannot be */
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
    if (!/^[^/\\. "$\0]+$/.test(this.db) || Buffer.byteLength(this.db) > 63)
      throw new Refusal(73, `Invalid database name: '${this.db}'`);
  }

  get name(): string {
    return this.where;
  }

  /** @throws MongoError as for every part, and 20 for a field that belongs to a transaction */
  checkCommand(command: Command): void {
    use('command', command);
    const general: Readonly<Record<string, Kind>> = ACCEPTED.general;
    if (ACCEPTED.commands[command] === null) return;
    for (const [name, value] of this.body.fields.slice(1)) {
      if (TRANSACTION.includes(name))
        throw new Refusal(20, 'Transaction numbers are only allowed on a replica set member or mongos');
      if (Object.hasOwn(general, name)) this.checkKind(name, value, general[name]!);
      else this.check(command, name, value);
    }
    for (const name of this.sequences.keys()) {
      if (this.body.get(name)) throw new Refusal(40433, `'${name}' is both a field and a document sequence`);
      this.check(command, name, array([]));
    }
    this.checkGeneral();
  }

  /** Sessions hold nothing here; there is one server to read from; it writes durably, as w 1 and majority ask with or without j. */
  private checkGeneral(): void {
    const all = (field: string, fits: (name: string, value: Value) => boolean): void => {
      for (const [name, value] of this.document(field)?.fields ?? [])
        if (!fits(name, value)) throw new Refusal(2, `the ${field}'s ${name} is not supported here`);
    };
    const isOne = (value: Value, ...of: readonly string[]): boolean => value.type === T.STRING && of.includes(value.text);
    all('lsid', (name, { type, bytes }) => name === 'id' && type === T.BINARY && bytes.length === 21 && bytes[4] === 4);
    all('$readPreference', (name, value) => name === 'mode' && isOne(value, ...MODES));
    all('writeConcern', (name, value) =>
      name === 'j'
        ? value.type === T.BOOL
        : name === 'w' && (value.number === 0 || value.number === 1 || isOne(value, 'majority')),
    );
    for (const field of ['lsid', '$readPreference'])
      if (this.document(field)?.fields.length === 0) throw new MongoError(40414, `BSON field '${field}' misses a required field`);
  }

  /** The client asked not to be told what a write did. */
  get unacknowledged(): boolean {
    const concern = this.document('writeConcern');
    return concern?.get('w')?.number === 0 && !concern.get('j')?.truthy;
  }

  /** The first batch that the command's `cursor` asks for. */
  batchSizeOfCursor(): number | undefined {
    return this.document('cursor')?.get('batchSize')?.number;
  }

  /** `database.collection`, from the command's own argument. */
  get namespace(): string {
    const { type, typeName } = this.argument;
    if (type !== T.STRING) throw new Refusal(73, `Collection name has invalid type ${typeName}`);
    return this.namespaceOf(this.argument.text);
  }

  namespaceOf(collection: string): string {
    const whole = `${this.db}.${collection}`;
    if (!/^(?!\.|system\.)[^$\0]+$/.test(collection) || Buffer.byteLength(whole) > 255)
      throw new Refusal(73, `Invalid namespace specified '${whole}'`);
    return whole;
  }

  /** The elements of an array or of a document sequence. */
  list(name: string): readonly Value[] {
    return this.sequences.get(name) ?? this.required(name).items;
  }

  /** Of which each is a document. */
  documents(name: string): readonly Value[] {
    const given = this.list(name);
    const wrong = given.findIndex(({ type }) => type !== T.OBJECT);
    if (wrong >= 0) throw wrongType(`${this.where}.${name}.${wrong}`, given[wrong]!, 'object');
    return given;
  }
}

/** Some of what has the wrong type here MongoDB would convert. */
function wrongType(field: string, value: Value, expected: string): MongoError {
  const list = expected.includes(',') ? `expected types '[${expected}]'` : `expected type '${expected}'`;
  return new Refusal(14, `BSON field '${field}' is the wrong type '${value.typeName}', ${list}`);
}
