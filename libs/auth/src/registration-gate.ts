import { Injectable } from '@nestjs/common';
import { type Admission, AdmissionRepository } from './admission.repository';

/** Whether this installation takes accounts; the app joins it from above, when it knows its runtime. */
export abstract class RegistrationPolicy {
  abstract admission(): Promise<Admission>;
}

/** Where the policy joins; where none does (the command line), what the last server's said holds, and before one registration is open. */
@Injectable()
export class RegistrationGate extends RegistrationPolicy {
  private policy: RegistrationPolicy | null = null;

  constructor(private readonly kept: AdmissionRepository) {
    super();
  }

  async join(policy: RegistrationPolicy): Promise<void> {
    if (this.policy) throw new Error('There is a registration policy already');
    this.policy = policy;
    await this.kept.keep(await policy.admission());
  }

  async admission(): Promise<Admission> {
    return this.policy ? this.policy.admission() : ((await this.kept.last()) ?? 'open');
  }
}
