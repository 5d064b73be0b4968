import { type Principal, type Scope } from '@devpocket/access';
import { AuditTrail } from '@devpocket/audit';
import { type RequestOrigin } from '@devpocket/http';
import { Clock, DomainError, newId, type Page, type PageRequest } from '@devpocket/kernel';
import { CredentialsService, type User } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { type ApiKey } from './api-key';
import { hashOf, isKeyOf, newApiKey, prefixOf } from './api-key.policy';
import { ApiKeyRepository } from './api-key.repository';
import { sessionRevoked, tokenExpired, tokenInvalid } from './auth.errors';
import { Revocations } from './revocations';

export const MOST_KEYS = 50;
/** A key that is used all the time is noted once in this while. */
const TOUCH_MS = 60_000;
const NO_HASH = hashOf('');

/** Keys for scripts and machines: each reaches what its scopes name, for as long as its account is active. */
@Injectable()
export class ApiKeysService {
  constructor(
    private readonly keys: ApiKeyRepository,
    private readonly accounts: CredentialsService,
    private readonly revocations: Revocations,
    private readonly audit: AuditTrail,
    private readonly clock: Clock,
  ) {}

  /**
   * @returns the key itself, which is kept nowhere
   * @throws DomainError `validation_error | forbidden | api_key_limit`
   */
  async create(
    caller: Principal,
    { name, scopes, expiresAt }: { readonly name: string; readonly scopes: readonly Scope[]; readonly expiresAt: Date | null },
    origin: RequestOrigin,
  ): Promise<{ readonly apiKey: ApiKey; readonly key: string }> {
    const now = this.clock.now();
    if (expiresAt && expiresAt <= now)
      throw DomainError.invalid({ field: 'expires_at', code: 'expires_in_the_past', message: 'must be in the future' });
    if (scopes.includes('admin') && caller.role !== 'admin')
      throw new DomainError('forbidden', 'forbidden', 'Only administrators may have keys with the scope admin');
    const account = await this.accounts.find(caller.userId);
    if (!account) throw sessionRevoked();
    const { key, prefix } = newApiKey();
    const apiKey = {
      id: newId(),
      userId: caller.userId,
      name,
      prefix,
      scopes: [...new Set(scopes)],
      createdAt: now,
      expiresAt,
      lastUsedAt: null,
    };
    // What ended with an earlier epoch of the account holds no place.
    await this.keys.removeBefore(caller.userId, account.keyEpoch);
    if (!(await this.keys.insert({ ...apiKey, hash: hashOf(key), epoch: account.keyEpoch }, MOST_KEYS)))
      throw new DomainError('forbidden', 'api_key_limit', `At most ${MOST_KEYS} API keys an account; delete one first`);
    await this.record('api_key.created', apiKey.userId, apiKey.id, origin, { prefix, scopes: apiKey.scopes.join(' ') });
    return { apiKey, key };
  }

  async list(userId: string, page: PageRequest): Promise<Page<ApiKey>> {
    const account = await this.accounts.find(userId);
    if (!account) throw sessionRevoked();
    return this.keys.list(userId, account.keyEpoch, page);
  }

  /** @throws DomainError `not_found` */
  async revoke(userId: string, id: string, origin: RequestOrigin): Promise<void> {
    if (!(await this.keys.remove(userId, id))) throw DomainError.notFound('API key');
    this.revocations.publish({ userId, credential: { kind: 'api_key', id, userId } });
    await this.record('api_key.revoked', userId, id, origin, {});
  }

  /** Whose key it is. An unknown one costs as much as a wrong one. @throws DomainError `token_invalid | token_expired | session_revoked` */
  async authenticate(presented: string): Promise<{ readonly apiKey: ApiKey; readonly user: User }> {
    const prefix = prefixOf(presented);
    const found = prefix === null ? null : await this.keys.findByPrefix(prefix);
    if (!isKeyOf(presented, found?.hash ?? NO_HASH) || !found) throw tokenInvalid();
    const living = await this.living(found.id, found.userId);
    const now = this.clock.now();
    if (now.getTime() - (found.lastUsedAt?.getTime() ?? 0) >= TOUCH_MS) await this.keys.touch(found.id, now);
    return living;
  }

  /** A key that goes on, and whose it is. @throws DomainError `session_revoked | token_expired` */
  async living(id: string, userId: string): Promise<{ readonly apiKey: ApiKey; readonly user: User }> {
    const [apiKey, account] = await Promise.all([this.keys.find(id), this.accounts.find(userId)]);
    if (!apiKey || !account?.user.isActive) throw sessionRevoked();
    if (apiKey.userId !== userId || apiKey.epoch !== account.keyEpoch) throw sessionRevoked();
    if (apiKey.expiresAt && apiKey.expiresAt <= this.clock.now()) throw tokenExpired();
    return { apiKey, user: account.user };
  }

  private record(
    action: string,
    userId: string,
    id: string,
    { ip, requestId }: RequestOrigin,
    details: Readonly<Record<string, string>>,
  ): Promise<void> {
    return this.audit.record({ actor: userId, action, target: `api_key:${id}`, result: 'success', ip, requestId, details });
  }
}
