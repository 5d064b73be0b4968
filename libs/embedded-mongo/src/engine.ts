import { ACCEPTED, recordRefusal } from './accepted';
import { ADMIN_COMMANDS } from './admin-commands';
import { MongoError } from './errors';
import { READ_COMMANDS } from './read-commands';
import { Request } from './request';
import { type Handler, State } from './state';
import { document, double, validate, value, type Field, type Value } from './value';
import { type Catalog } from './catalog';
import { deleteSome, WRITE_COMMANDS } from './write-commands';
import { queryOf } from './query';

const HANDLERS: Readonly<Record<string, Handler>> = { ...READ_COMMANDS, ...WRITE_COMMANDS, ...ADMIN_COMMANDS };
const ALIASES: Readonly<Record<string, string>> = {
  isMaster: 'hello',
  ismaster: 'hello',
  buildinfo: 'buildInfo',
  findandmodify: 'findAndModify',
};
const FIELDS: Readonly<Record<string, readonly string[] | null>> = ACCEPTED.commands;

/** The database behind the wire: takes commands, answers documents. Not tied to a socket, a thread or the real clock. */
export class Engine {
  private readonly state: State;

  constructor(file: string, now: () => number = Date.now) {
    this.state = new State(file, now);
  }

  get catalog(): Catalog {
    return this.state.catalog;
  }

  /** Never throws for what a client sent: errors are answers. What was written is durable only after `catalog.commit`. */
  answer(body: Value, sequences: ReadonlyMap<string, readonly Value[]> = new Map()): Value {
    try {
      validate(body);
      for (const list of sequences.values()) for (const each of list) validate(each);
      const request = new Request(body, sequences);
      const name = ALIASES[request.name] ?? request.name;
      const handler = Object.hasOwn(HANDLERS, name) ? HANDLERS[name] : undefined;
      if (!handler) throw new MongoError(59, `no such command: '${request.name}'`);
      request.check(name, FIELDS[name]!);
      return reply(value(handler(this.state, request)).fields, 1);
    } catch (error) {
      if (!(error instanceof MongoError)) throw error;
      recordRefusal(error);
      return failure(error);
    }
  }

  /** Deletes what TTL indexes say has expired: a date in the index's field that is so many seconds past. */
  expire(): number {
    let expired = 0;
    this.state.cursors.dropIdle();
    for (const collection of this.catalog.all()) {
      for (const { fields, expireAfterSeconds, spec } of collection.indexes) {
        if (expireAfterSeconds === undefined) continue;
        const limit = { [fields[0]!.name]: { $lte: new Date(this.state.now() - expireAfterSeconds * 1000) } };
        const partial = spec.get('partialFilterExpression');
        const filter = value(partial ? { $and: [limit, partial] } : limit);
        expired += deleteSome(this.state, collection.namespace, queryOf(filter)).length;
      }
    }
    return expired;
  }

  close(): void {
    this.catalog.close();
  }
}

function reply(fields: readonly Field[], ok: 0 | 1): Value {
  return document([...fields, ['ok', double(ok)]]);
}

export function failure(error: MongoError): Value {
  const { code, codeName, message, extra } = error;
  return value({ ok: double(0), errmsg: message, code, codeName, ...(extra as Readonly<Record<string, Value>>) });
}
