import { Authenticator, type CredentialRef, type Principal, type Revocation, type Scope, SCOPES } from '@devpocket/access';
import { type User } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { AccessTokens } from './access-tokens';
import { type ApiKey } from './api-key';
import { API_KEY_PREFIX } from './api-key.policy';
import { ApiKeysService } from './api-keys.service';
import { Revocations } from './revocations';
import { SessionsService } from './sessions.service';

const ALL_SCOPES = new Set(SCOPES);

/** Principals from access tokens and API keys. Read anew each time: nothing is remembered, so an end is an end at once. */
@Injectable()
export class CredentialAuthenticator extends Authenticator {
  constructor(
    private readonly tokens: AccessTokens,
    private readonly sessions: SessionsService,
    private readonly keys: ApiKeysService,
    private readonly revocations: Revocations,
  ) {
    super();
  }

  async authenticate(bearer: string): Promise<Principal> {
    if (!bearer.startsWith(API_KEY_PREFIX)) return this.principalOf(await this.tokens.read(bearer));
    const { apiKey, user } = await this.keys.authenticate(bearer);
    return ofKey(user, apiKey);
  }

  /** @param payload of a token whose signature was checked @throws DomainError as `authenticate` */
  async principalOf(payload: unknown): Promise<Principal> {
    const { sub, sid, exp } = this.tokens.claimsOf(payload);
    const { session, user } = await this.sessions.living(sid, sub);
    const expiresAt = new Date(exp * 1000);
    return ofSession(user, session.id, expiresAt < session.expiresAt ? expiresAt : session.expiresAt);
  }

  async restore({ kind, id, userId }: CredentialRef): Promise<Principal> {
    if (kind === 'session') {
      const { session, user } = await this.sessions.living(id, userId);
      return ofSession(user, session.id, null);
    }
    const { apiKey, user } = await this.keys.living(id, userId);
    return ofKey(user, apiKey);
  }

  onRevoked(listener: (revocation: Revocation) => void, missed?: () => void): () => void {
    return this.revocations.listen(listener, missed);
  }
}

function ofSession(user: User, sessionId: string, expiresAt: Date | null): Principal {
  return toPrincipal(user, { kind: 'session', id: sessionId, userId: user.id }, ALL_SCOPES, expiresAt);
}

function ofKey(user: User, { id, scopes, expiresAt }: ApiKey): Principal {
  return toPrincipal(user, { kind: 'api_key', id, userId: user.id }, new Set(scopes), expiresAt);
}

function toPrincipal(user: User, credential: CredentialRef, scopes: ReadonlySet<Scope>, expiresAt: Date | null): Principal {
  const { id: userId, username, role, plan, isVerified } = user;
  return { userId, username, role, plan, isVerified, credential, scopes, expiresAt };
}
