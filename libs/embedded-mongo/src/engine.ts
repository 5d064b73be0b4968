import { ACCEPTED, recordRefusal, type Command } from './accepted';
import { ADMIN_COMMANDS } from './admin-commands';
import { Catalog } from './catalog';
import { Cursors } from './cursors';
import { MongoError, Refusal } from './errors';
import { type Filter, parseFilter } from './filter';
import { READ_COMMANDS } from './read-commands';
import { Request } from './request';
import { type Handler, type State } from './state';
import { document, double, validate, value, type Value } from './value';
import { deleteSome, WRITE_COMMANDS } from './write-commands';

const HANDLERS: Readonly<Record<Command, Handler>> = { ...READ_COMMANDS, ...WRITE_COMMANDS, ...ADMIN_COMMANDS };

/** The database behind the wire: takes commands, answers documents. Not tied to a socket, a thread or the real clock. */
export class Engine {
  private readonly state: State;

  constructor(file: string, now: () => number = Date.now) {
    this.state = { catalog: new Catalog(file), cursors: new Cursors(now), now };
  }

  get catalog(): Catalog {
    return this.state.catalog;
  }

  /** Never throws for what a client sent: errors are answers. What was written is durable only after `catalog.commit`. */
  answer(body: Value, sequences: ReadonlyMap<string, readonly Value[]> = new Map()): Value {
    try {
      for (const each of [body, ...[...sequences.values()].flat()]) validate(each);
      const request = new Request(body, sequences);
      const name = /^is[Mm]aster$/.test(request.name) ? 'hello' : request.name;
      if (!isCommand(name)) throw new Refusal(59, `no such command: '${request.name}'`);
      request.checkCommand(name);
      const handler = HANDLERS[name];
      return document([...value(handler(this.state, request)).fields, ['ok', double(1)]]);
    } catch (error) {
      if (!(error instanceof MongoError)) throw error;
      recordRefusal(error);
      return failure(error);
    }
  }

  /** Deletes what TTL indexes say has expired: a date in the index's field that is so many seconds past. */
  expire(): number {
    const { catalog, cursors, now } = this.state;
    cursors.dropIdle();
    let expired = 0;
    for (const { namespace, indexes } of catalog.all()) {
      for (const { fields, partial, spec } of indexes) {
        const seconds = spec.get('expireAfterSeconds')?.number;
        if (seconds === undefined) continue;
        const past = parseFilter(value({ [fields[0]!.name]: { $lte: new Date(now() - seconds * 1000) } }));
        const filter: Filter = partial ? { kind: 'and', of: [past, partial] } : past;
        expired += deleteSome(this.state, 'delete', namespace, { filter, sort: [], limit: 0 }).length;
      }
    }
    return expired;
  }

  close(): void {
    this.catalog.close();
  }
}

function isCommand(name: string): name is Command {
  return Object.hasOwn(ACCEPTED.commands, name);
}

export function failure({ code, codeName, message, extra }: MongoError): Value {
  return value({ ok: double(0), errmsg: message, code, codeName, ...(extra as Readonly<Record<string, Value>>) });
}
