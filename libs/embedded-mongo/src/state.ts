import { type Catalog } from './catalog';
import { type Cursors } from './cursors';
import { type Request } from './request';
import { type Plain } from './value';

/** What commands work on. */
export interface State {
  readonly catalog: Catalog;
  readonly cursors: Cursors;
  readonly now: () => number;
}

/** Carries out one command and returns the fields of its answer but `ok`. */
export type Handler = (state: State, request: Request) => Plain;
