import { isSize } from './terminal.protocol';

export interface TerminalQuery {
  /** Null: as the session has it, 80 × 24 for a new one. */
  readonly cols: number | null;
  readonly rows: number | null;
  readonly sessionId: string | null;
  readonly after: number | null;
  readonly clientId: string | null;
  readonly acks: boolean;
  readonly view: boolean;
}

export const SESSION_ID = /^[0-9a-f]{24}$/;
const CLIENT_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** The URL's options, or what is wrong with them. */
export function readQuery(query: URLSearchParams): TerminalQuery | { readonly code: string; readonly message: string } {
  const count = (name: string): number | null | undefined => {
    const text = query.get(name);
    if (text === null) return undefined;
    return /^\d{1,15}$/.test(text) ? Number(text) : null;
  };
  const [cols, rows] = [count('cols'), count('rows')];
  if ((cols !== undefined && !isSize(cols)) || (rows !== undefined && !isSize(rows)))
    return { code: 'bad_resize', message: 'cols and rows must be whole numbers from 1 to 1000' };
  const after = count('after');
  if (after === null) return { code: 'bad_after', message: 'after must be a whole number' };
  const sessionId = query.get('session_id');
  if (sessionId === null && after) return { code: 'bad_after', message: 'after lies beyond the end of a new session' };
  if (sessionId !== null && !SESSION_ID.test(sessionId)) return { code: 'not_found', message: 'There is no such session' };
  const clientId = query.get('client_id');
  if (clientId !== null && !CLIENT_ID.test(clientId))
    return { code: 'bad_message', message: 'client_id must be 1–64 of letters, digits, ., _ and -' };
  return {
    cols: cols ?? null,
    rows: rows ?? null,
    sessionId,
    after: after ?? null,
    clientId,
    acks: query.get('ack') === '1',
    view: query.get('mode') === 'view',
  };
}
