import { Catalog } from './catalog';
import { Cursors } from './cursors';
import { type Request } from './request';
import { type Plain } from './value';

/** What commands work on. */
export class State {
  readonly catalog: Catalog;
  readonly cursors: Cursors;

  constructor(
    file: string,
    readonly now: () => number,
  ) {
    this.catalog = new Catalog(file);
    this.cursors = new Cursors(now);
  }
}

/** Carries out one command and returns the fields of its answer but `ok`. */
export type Handler = (state: State, request: Request) => Plain;
