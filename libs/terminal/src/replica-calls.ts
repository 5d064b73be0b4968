import { type ScreenFormat } from '@devpocket/terminal-session';
import { type Principal } from '@devpocket/access';
import { type LocatedEnvironment } from '@devpocket/environments';
import { type EdgeSocket } from '@devpocket/http';
import { DomainError, type ErrorKind } from '@devpocket/kernel';
import { type SessionView } from '@devpocket/terminal-session';

/** What replicas say to each other. Both paths name a version: one that speaks another is not there for this one. */
export const SOCKET_PATH = '/v1/socket';
export const CALL_PATH = '/v1/terminals';
export const SEAL_HEADER = 'x-devpocket-seal';
/** The content of a call that has no body, in base64url. */
export const CONTENT_HEADER = 'x-devpocket-content';
/** RFC 9110 §15.5.20: it does not live here, or no more. */
export const MISDIRECTED = 421;

export type TerminalCall =
  | { readonly call: 'list'; readonly environment: LocatedEnvironment }
  | {
      readonly call: 'screen';
      readonly environment: LocatedEnvironment;
      readonly sessionId: string;
      readonly format: ScreenFormat;
    }
  | { readonly call: 'remove'; readonly environment: LocatedEnvironment; readonly sessionId: string };

/** A socket's handshake as its own edge has judged it. */
export type Handshake = Omit<EdgeSocket, 'socket' | 'stream'>;

export function writeHandshake({ principal, byTicket, environmentId, query }: Handshake): string {
  const params = new URLSearchParams(query);
  // Credentials have done their work.
  for (const secret of ['ticket', 'token']) params.delete(secret);
  const scopes = [...principal.scopes];
  return JSON.stringify({ principal: { ...principal, scopes }, byTicket, environmentId, query: params.toString() });
}

/** @param text sealed by a replica of ours */
export function readHandshake(text: string): Handshake {
  type Written = Omit<Handshake, 'principal' | 'query'> & {
    readonly principal: Omit<Principal, 'scopes' | 'expiresAt'> & {
      readonly scopes: readonly string[];
      readonly expiresAt: string | null;
    };
    readonly query: string;
  };
  const { principal, byTicket, environmentId, query } = JSON.parse(text) as Written;
  const scopes = new Set(principal.scopes) as unknown as Principal['scopes'];
  const expiresAt = toDate(principal.expiresAt);
  return { principal: { ...principal, scopes, expiresAt }, byTicket, environmentId, query: new URLSearchParams(query) };
}

type WrittenView = Omit<SessionView, 'createdAt' | 'lastOutputAt'> & {
  readonly createdAt: string;
  readonly lastOutputAt: string | null;
};

export function readSessions(value: unknown): readonly SessionView[] {
  return (value as readonly WrittenView[]).map(({ createdAt, lastOutputAt, ...rest }) => ({
    ...rest,
    createdAt: new Date(createdAt),
    lastOutputAt: toDate(lastOutputAt),
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

function toDate(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
