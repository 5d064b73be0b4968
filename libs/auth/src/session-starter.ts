import { AuditTrail } from '@devpocket/audit';
import { type RequestOrigin } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { type Credentials, CredentialsService } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { Devices } from './devices';
import { type SignInMethod } from './session.machine';
import { SessionsService } from './sessions.service';
import { type TokenPair } from './token-pairs';

/** What every sign-in ends with, whatever showed who it is: a session, or an entry that there is none. */
@Injectable()
export class SessionStarter {
  constructor(
    private readonly accounts: CredentialsService,
    private readonly sessions: SessionsService,
    private readonly devices: Devices,
    private readonly audit: AuditTrail,
    private readonly clock: Clock,
  ) {}

  async begin(account: Credentials, method: SignInMethod, origin: RequestOrigin): Promise<TokenPair> {
    const { id } = account.user;
    const pair = await this.sessions.open(account, origin, method);
    await this.accounts.recordLogin(id, this.clock.now());
    await this.devices.signedIn(id, origin);
    const { ip, requestId } = origin;
    const target = `user:${id}`;
    const details = { method };
    await this.audit.record({ actor: id, action: 'session.started', target, result: 'success', ip, requestId, details });
    return pair;
  }

  /** @param userId whom the caller wanted to be, where there is such an account @param reason the code that is answered */
  refused(userId: string | null, method: SignInMethod, reason: string, { ip, requestId }: RequestOrigin): Promise<void> {
    const target = userId === null ? null : `user:${userId}`;
    const details = { method, reason };
    return this.audit.record({ actor: null, action: 'session.started', target, result: 'failure', ip, requestId, details });
  }
}
