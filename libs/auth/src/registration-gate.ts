import { Injectable } from '@nestjs/common';

/** `sole`: one account and no second. */
export type Admission = 'open' | 'sole' | 'closed';

/** Whether this installation takes accounts; the app joins it from above, when it knows its runtime. */
export abstract class RegistrationPolicy {
  abstract admission(): Promise<Admission>;
}

/** Where the policy joins; until one has, registration is open. */
@Injectable()
export class RegistrationGate extends RegistrationPolicy {
  private policy: RegistrationPolicy | null = null;

  join(policy: RegistrationPolicy): void {
    if (this.policy) throw new Error('There is a registration policy already');
    this.policy = policy;
  }

  admission(): Promise<Admission> {
    return this.policy?.admission() ?? Promise.resolve('open');
  }
}
