import { type CredentialRef, type Revocation } from '@devpocket/access';
import { Broadcast } from '@devpocket/shared-state';
import { Injectable } from '@nestjs/common';

const CHANNEL = 'auth.revoked';

/** News of ended credentials, to every replica. Best effort: what they open is also refused by the next look at the database. */
@Injectable()
export class Revocations {
  constructor(private readonly broadcast: Broadcast) {}

  publish(revocation: Revocation): void {
    this.broadcast.publish(CHANNEL, revocation);
  }

  publishSession(userId: string, id: string): void {
    this.publish({ userId, credential: { kind: 'session', id, userId } });
  }

  /** Returns the way to stop listening. */
  listen(listener: (revocation: Revocation) => void, missed?: () => void): () => void {
    return this.broadcast.subscribe(
      CHANNEL,
      (message) => {
        if (isRevocation(message)) listener(message);
      },
      missed,
    );
  }
}

function isRevocation(message: unknown): message is Revocation {
  if (typeof message !== 'object' || message === null) return false;
  const { userId, credential } = message as Partial<Revocation>;
  return typeof userId === 'string' && (credential === null || isCredential(credential));
}

function isCredential(value: unknown): value is CredentialRef {
  return typeof value === 'object' && value !== null && 'kind' in value && 'id' in value && 'userId' in value;
}
