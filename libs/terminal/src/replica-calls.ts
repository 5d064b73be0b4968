import { type Principal } from '@devpocket/access';
import { type LocatedEnvironment } from '@devpocket/environments';
import { type EdgeSocket } from '@devpocket/http';
import { type ScreenFormat } from '@devpocket/terminal-session';

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

function toDate(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
