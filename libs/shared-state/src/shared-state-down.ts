import { DomainError } from '@devpocket/kernel';

/** What replicas share cannot be asked now, and nothing may stand in for it. 503; a socket closes with 1011. */
export class SharedStateDown extends DomainError {
  constructor(message: string, cause?: unknown) {
    super('unavailable', 'unavailable', message, { retryAfter: 1, cause });
    this.name = 'SharedStateDown';
  }
}

/** Tells apart what belongs to several installations on one Redis. */
export abstract class SharedStateOwner {
  /** The mark of this installation: the same for all its replicas. */
  abstract id(): Promise<string>;
}
