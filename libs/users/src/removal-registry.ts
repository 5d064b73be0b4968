import { Injectable } from '@nestjs/common';

/** Whoever holds something of accounts; joins from above. */
export interface RemovalParticipant {
  readonly name: string;
  /** Removes what it holds of an account that is shut out. @returns whether nothing is left; else it is asked again */
  removeOf(userId: string): Promise<boolean>;
}

/** Who has to be rid of an account before it goes. */
@Injectable()
export class RemovalRegistry {
  private readonly participants: RemovalParticipant[] = [];

  join(participant: RemovalParticipant): void {
    this.participants.push(participant);
  }

  /** @returns those that still hold something of it */
  async removeOf(userId: string): Promise<readonly string[]> {
    const left: string[] = [];
    for (const participant of this.participants) if (!(await participant.removeOf(userId))) left.push(participant.name);
    return left;
  }
}
