import { type CredentialRef, type Principal } from './principal';

/** A credential ended (logout, revocation, reset, deactivation, deletion): its tickets, sockets and streams end too. */
export interface Revocation {
  readonly userId: string;
  /** Null: every credential of the user but `except`. */
  readonly credential: CredentialRef | null;
  readonly except?: CredentialRef | null;
}

/** Does it end this credential? */
export function concerns({ userId, credential, except }: Revocation, own: CredentialRef): boolean {
  if (userId !== own.userId) return false;
  if (credential) return credential.kind === own.kind && credential.id === own.id;
  return !(except?.kind === own.kind && except.id === own.id);
}

/** Turns credentials into principals; the one place that knows what a token is. Type and injection token at once. */
export abstract class Authenticator {
  /**
   * @param bearer an access token or API key
   * @throws DomainError `unauthenticated` with code `token_missing | token_invalid | token_expired | session_revoked`
   */
  abstract authenticate(bearer: string): Promise<Principal>;

  /**
   * The principal behind a credential that was authenticated earlier, for a ticket; re-reads user and session.
   * @throws DomainError `unauthenticated` `session_revoked` when it has ended meanwhile
   */
  abstract restore(credential: CredentialRef): Promise<Principal>;

  /**
   * Tells of every ended credential, on this replica and others, within 1 s.
   * @param missed some may have gone unheard: who stands on a credential has to ask for it anew
   * @returns the way to stop listening
   */
  abstract onRevoked(listener: (revocation: Revocation) => void, missed?: () => void): () => void;
}
