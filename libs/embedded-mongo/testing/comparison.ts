import { recordUses } from '../src/accepted';
import { Engine } from '../src/engine';
import { parseSort } from '../src/query';
import { sortKey } from '../src/index-keys';
import { render } from '../src/render';
import { array, document, T, value, type Field, type Plain, type Value } from '../src/value';
import { type Command } from './commands';
import { type WireClient } from './wire-client';

export interface Tally {
  compared: number;
  refused: number;
  failedAlike: number;
}

/** Sends the same to MongoDB and to the embedded engine, and tells where they differ. */
export class Comparison {
  readonly tally: Tally = { compared: 0, refused: 0, failedAlike: 0 };
  private refusal: string | undefined;
  private readonly ours: Engine;

  constructor(
    private readonly real: WireClient,
    private readonly db: string,
    private readonly collection: string,
    file = ':memory:',
  ) {
    this.ours = new Engine(file);
    recordUses((entry) => {
      if (entry.startsWith('refused ')) this.refusal = entry;
    });
  }

  close(): void {
    recordUses(undefined);
    this.ours.close();
  }

  private async empty(): Promise<void> {
    await this.both({ name: 'delete', fields: value({ deletes: [{ q: {}, limit: 0 }] }).fields });
  }

  /**
   * Empty on both sides, with these indexes; those that either refuses are left out of both.
   * @returns a difference as text; undefined: none
   */
  async reset(indexes: readonly Value[]): Promise<string | undefined> {
    await this.empty();
    await this.both({ name: 'dropIndexes', fields: value({ index: '*' }).fields });
    for (const index of indexes) {
      const command = { name: 'createIndexes', fields: value({ indexes: [index] }).fields };
      const [real, ours] = await this.both(command);
      if (!isOk(ours) && isOk(real)) {
        if (this.refusal === undefined) return difference(command, real, ours);
        this.tally.refused++;
        await this.real.command(this.body({ name: 'dropIndexes', fields: value({ index: index.get('name')! }).fields }));
      } else if (isOk(ours) !== isOk(real) || (this.refusal === undefined && !sameCode(real, ours)))
        return difference(command, real, ours);
    }
    return undefined;
  }

  /** @returns a difference as text; undefined: none */
  async run(command: Command): Promise<string | undefined> {
    const settled = await this.unambiguous(command);
    if (!settled) return undefined;
    const [real, ours] = await this.both(settled);
    this.tally.compared++;
    const same = this.refusal === undefined && (await this.sameAnswer(settled, real, ours));
    const reading = READS.has(command.name);
    if (this.refusal !== undefined) {
      this.tally.refused++;
      if (!reading && isOk(real)) await this.empty(); // MongoDB did what was refused here
      return undefined;
    }
    if (failed(real)) this.tally.failedAlike++;
    if (failed(real) && failed(ours) && isMulti(settled)) {
      await this.empty(); // which of several failed first, and how many were changed before, depends on the plan
      return undefined;
    }
    if (!same) return difference(settled, real, ours);
    return reading ? undefined : this.stored(settled);
  }

  private async both(command: Command): Promise<[Value, Value]> {
    const body = this.body(command);
    this.refusal = undefined;
    const ours = this.ours.answer(body);
    return [await this.real.command(body), ours];
  }

  private body({ name, argument, fields }: Command): Value {
    return document([[name, argument ?? value(this.collection)], ...fields, ['$db', value(this.db)]]);
  }

  /** Which of several documents a single change picks is not defined: it becomes `multi`, or (findAndModify) is left out. */
  private async unambiguous(command: Command): Promise<Command | undefined> {
    const list = command.name === 'update' ? 'updates' : command.name === 'delete' ? 'deletes' : undefined;
    if (!list && command.name !== 'findAndModify') return command;
    const given = list ? fieldOf(command, list) : document([['', document([['q', fieldOf(command, 'query')!]])]]);
    const statement = given && partsOf(given)[0];
    if (statement?.type !== T.OBJECT || statement.get('q')?.type !== T.OBJECT) return command; // fails in any case
    const counted = await this.real.command(this.body({ name: 'count', fields: [['query', statement.get('q')!]] }));
    if ((counted.get('n')?.number ?? 0) < 2) return command;
    if (!list) return undefined;
    const all: Field = command.name === 'update' ? ['multi', value(true)] : ['limit', value(0)];
    const changed = statement.fields.map((field) => (field[0] === all[0] ? all : field));
    const statements = array([document(changed), ...fieldOf(command, list)!.items.slice(1)]);
    return { ...command, fields: command.fields.map((field) => (field[0] === list ? [list, statements] : field)) };
  }

  private async sameAnswer(command: Command, real: Value, ours: Value): Promise<boolean> {
    if (command.odd && !isOk(real)) return !isOk(ours); // with two faults, either may be told
    if (!READS.has(command.name) || !isOk(real) || !isOk(ours)) return alike(real, ours);
    const [one, other] = [
      await this.readAll(real, (body) => this.real.command(body)),
      await this.readAll(ours, (body) => this.ours.answer(body)),
    ];
    const sort = fieldOf(command, 'sort');
    const total = sort?.get('_id');
    if (this.refusal !== undefined) return false;
    const failure = (list: readonly Value[]): Value | undefined => list.find((each) => each.get('errmsg'));
    if (failure(one)) return alike(one[0]!, other[0] ?? real);
    if (total) return value(one).same(value(other));
    if (sort?.fields.length) {
      const by = parseSort(sort);
      const ordered = (docs: readonly Value[]): boolean =>
        docs.every((each, at) => at === 0 || Buffer.compare(sortKey(docs[at - 1]!, by), sortKey(each, by)) <= 0);
      if (!ordered(one) || !ordered(other)) return false;
    }
    return sameSet(one, other);
  }

  private async readAll(first: Value, send: (body: Value) => Value | Promise<Value>): Promise<readonly Value[]> {
    const docs = items(first.get('cursor')!.get('firstBatch')!);
    let id = first.get('cursor')!.get('id')!;
    while (id.bigint !== 0n) {
      const next = await send(
        this.body({ name: 'getMore', argument: id, fields: value({ collection: this.collection, batchSize: 2 }).fields }),
      );
      const cursor = next.get('cursor');
      if (!cursor) return [next];
      docs.push(...items(cursor.get('nextBatch')!));
      id = cursor.get('id')!;
    }
    return docs;
  }

  private async stored(command: Command): Promise<string | undefined> {
    const all: Command = { name: 'find', fields: value({ batchSize: 10_000 }).fields };
    const [real, ours] = await this.both(all);
    const [one, other] = [real, ours].map((answer) => items(answer.get('cursor')!.get('firstBatch')!));
    return sameSet(one!, other!) ? undefined : difference(command, value({ stored: one! }), value({ stored: other! }));
  }
}

const READS = new Set(['find', 'aggregate']);

function fieldOf({ fields }: Command, name: string): Value | undefined {
  return fields.find((field) => field[0] === name)?.[1];
}

/** None of what is no list: it is strange, and fails. */
function partsOf(list: Value): readonly Value[] {
  return list.type === T.OBJECT || list.type === T.ARRAY ? list.items : [];
}

function isMulti(command: Command): boolean {
  const [first] = partsOf(fieldOf(command, 'updates') ?? array([]));
  return first?.type === T.OBJECT && (first.get('multi')?.truthy ?? false);
}

function items(list: Value): Value[] {
  return list.fields.map(([, each]) => each);
}

function isOk(answer: Value): boolean {
  return answer.get('ok')?.number === 1;
}

function sameCode(real: Value, ours: Value): boolean {
  return real.get('code')?.number === ours.get('code')?.number;
}

function failed(answer: Value): boolean {
  return !isOk(answer) || answer.get('writeErrors') !== undefined;
}

function sameSet(one: readonly Value[], other: readonly Value[]): boolean {
  const sorted = (list: readonly Value[]): string =>
    list
      .map(({ bytes }) => bytes.toString('hex'))
      .sort()
      .join();
  return sorted(one) === sorted(other);
}

/** But for what MongoDB's text says first when a read fails that had begun. */
function alike(real: Value, ours: Value): boolean {
  const text = real.get('errmsg')?.text.replace(/^((Executor error|error while) .*? :: caused by :: )+/, '');
  const plain =
    text === undefined ? real : document(real.fields.map((field) => (field[0] === 'errmsg' ? ['errmsg', value(text)] : field)));
  return plain.same(ours);
}

function difference(command: Command, real: Value, ours: Value): string {
  const text = (plain: Plain): string =>
    render(value(plain)).replace(/[^\x20-\x7e]/g, (each) => `\\u${each.charCodeAt(0).toString(16)}`);
  return `${command.name} ${text(document(command.fields))}\n  MongoDB:  ${text(real)}\n  embedded: ${text(ours)}`;
}
