import { Injectable } from '@nestjs/common';
import { ApiKeyRepository } from './api-key.repository';
import { Devices } from './devices';
import { GoogleFlows } from './google-flows';
import { GoogleIdentityRepository } from './google-identity.repository';
import { LockoutService } from './lockout.service';
import { MailTokens } from './mail-tokens';
import { SessionRepository } from './session.repository';

/** What signing in keeps of an account. */
@Injectable()
export class AccountRemains {
  constructor(
    private readonly sessions: SessionRepository,
    private readonly keys: ApiKeyRepository,
    private readonly tokens: MailTokens,
    private readonly devices: Devices,
    private readonly lockout: LockoutService,
    private readonly identities: GoogleIdentityRepository,
    private readonly flows: GoogleFlows,
  ) {}

  async remove(userId: string): Promise<void> {
    await this.sessions.removeAll(userId);
    await this.keys.removeAll(userId);
    await this.tokens.revoke(userId, 'verify');
    await this.tokens.revoke(userId, 'reset');
    await this.devices.forget(userId);
    await this.lockout.clear({ userId });
    await this.identities.removeAll(userId);
    await this.flows.forget(userId);
  }
}
