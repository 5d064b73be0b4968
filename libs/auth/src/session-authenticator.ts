import { Authenticator, type CredentialRef, type Principal, type Revocation, SCOPES } from '@devpocket/access';
import { type User } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { AccessTokens } from './access-tokens';
import { sessionRevoked } from './auth.errors';
import { Revocations } from './revocations';
import { SessionsService } from './sessions.service';

const ALL_SCOPES = new Set(SCOPES);

/** Principals from access tokens. Two reads by primary key each time: nothing is remembered, so an end is an end at once. */
@Injectable()
export class SessionAuthenticator extends Authenticator {
  constructor(
    private readonly tokens: AccessTokens,
    private readonly sessions: SessionsService,
    private readonly revocations: Revocations,
  ) {
    super();
  }

  async authenticate(bearer: string): Promise<Principal> {
    return this.principalOf(await this.tokens.read(bearer));
  }

  /** @param payload of a token whose signature was checked @throws DomainError as `authenticate` */
  async principalOf(payload: unknown): Promise<Principal> {
    const { sub, sid, exp } = this.tokens.claimsOf(payload);
    const { session, user } = await this.sessions.living(sid, sub);
    const expiresAt = new Date(exp * 1000);
    return toPrincipal(user, session.id, expiresAt < session.expiresAt ? expiresAt : session.expiresAt);
  }

  async restore(credential: CredentialRef): Promise<Principal> {
    if (credential.kind !== 'session') throw sessionRevoked();
    const { session, user } = await this.sessions.living(credential.id, credential.userId);
    return toPrincipal(user, session.id, null);
  }

  onRevoked(listener: (revocation: Revocation) => void): () => void {
    return this.revocations.listen(listener);
  }
}

function toPrincipal(user: User, sessionId: string, expiresAt: Date | null): Principal {
  return {
    userId: user.id,
    username: user.username,
    role: user.role,
    plan: user.plan,
    isVerified: user.isVerified,
    credential: { kind: 'session', id: sessionId, userId: user.id },
    scopes: ALL_SCOPES,
    expiresAt,
  };
}
