import { type Admission, RegistrationPolicy } from '@devpocket/auth';
import { type RuntimeRegistry } from '@devpocket/runtime';

/** One account and no second where the runtime cannot keep users apart. */
export class RuntimeRegistrationPolicy extends RegistrationPolicy {
  constructor(private readonly runtimes: RuntimeRegistry) {
    super();
  }

  admission(): Promise<Admission> {
    return Promise.resolve(this.runtimes.reports().every((report) => report.multiUser) ? 'open' : 'sole');
  }
}
