import { DomainError, type ErrorKind } from '@devpocket/kernel';
import { type WelcomedTo } from './attach-client';
import { type TerminalQuery } from './query.protocol';
import { type ScreenFormat } from './screen.messages';
import { type SessionView } from './session-store';

/** What a server says to the process that holds sessions, and their clients' sockets, for it; `id` is of a socket, of the server's choice. */
export type SessionCall =
  | {
      readonly call: 'configure';
      readonly maxSessionsPerEnvironment: number;
      readonly stallSeconds: number;
      /** Kept of a session's output, of those that begin from now on. */ readonly bufferBytes: number;
    }
  | ({ readonly call: 'connection'; readonly id: number } & Connection)
  | { readonly call: 'enter'; readonly id: number; readonly environment: WelcomedTo; readonly query: TerminalQuery }
  | { readonly call: 'send'; readonly id: number; readonly message: Readonly<Record<string, unknown>> }
  | { readonly call: 'close'; readonly id: number; readonly code: number; readonly reason: string }
  | { readonly call: 'terminate'; readonly id: number }
  /** Which sockets are about to close? */
  | { readonly call: 'closing' }
  | { readonly call: 'holds'; readonly environmentId: string; readonly sessionId: string; readonly clientId: string | null }
  | { readonly call: 'list'; readonly environmentId: string }
  | { readonly call: 'screen'; readonly environmentId: string; readonly sessionId: string; readonly format: ScreenFormat }
  | { readonly call: 'remove'; readonly environmentId: string; readonly sessionId: string }
  | {
      readonly call: 'told';
      readonly environmentId: string;
      readonly message: Readonly<Record<string, unknown>>;
      readonly runs: boolean;
      readonly deleted: boolean;
    }
  | { readonly call: 'forget'; readonly environmentId: string }
  | { readonly call: 'renewed'; readonly ask: number; readonly own: boolean | null }
  /** The server goes: everybody comes back in a moment. */
  | { readonly call: 'leave' };

/** A client's connection whose handshake is judged and not answered. */
export interface Connection {
  /** By which it was given. */
  readonly name: string;
  readonly method: string;
  /** Of the handshake, without credentials: what is needed to answer it. */
  readonly headers: Readonly<Record<string, string>>;
  /** Read of it already, behind the handshake, in base64. */
  readonly head: string;
  /** The client asked for compression. */
  readonly deflates: boolean;
  readonly requestId: string;
}

/** What that process says by itself. */
export type SessionNews =
  | { readonly news: 'closed'; readonly id: number }
  /** Is this token, which a client sent, its user's? The answer is `renewed`. */
  | { readonly news: 'renew'; readonly id: number; readonly ask: number; readonly token: string }
  /** Once a second, if there is something to say: where somebody types or works, bytes printed since, and shells that run. */
  | {
      readonly news: 'activity';
      readonly environmentIds: readonly string[];
      readonly printed: number;
      readonly alive: number;
    };

/** An answer: what was asked for, or the DomainError that it ended with. */
export type SessionAnswer = { readonly value: unknown } | { readonly error: string };

type WrittenView = Omit<SessionView, 'createdAt' | 'lastOutputAt'> & {
  readonly createdAt: string;
  readonly lastOutputAt: string | null;
};

/** Sessions as JSON has them. */
export function readSessions(value: unknown): readonly SessionView[] {
  return (value as readonly WrittenView[]).map(({ createdAt, lastOutputAt, ...rest }) => ({
    ...rest,
    createdAt: new Date(createdAt),
    lastOutputAt: lastOutputAt === null ? null : new Date(lastOutputAt),
  }));
}

interface WrittenError {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly message: string;
  readonly retryAfter: number | null;
  readonly extra: Readonly<Record<string, unknown>>;
}

export function writeError({ kind, code, message, retryAfter, extra }: DomainError): string {
  return JSON.stringify({ kind, code, message, retryAfter, extra } satisfies WrittenError);
}

export function readError(text: string): DomainError {
  const { kind, code, message, retryAfter, extra } = JSON.parse(text) as WrittenError;
  return new DomainError(kind, code, message, { extra, ...(retryAfter === null ? {} : { retryAfter }) });
}
