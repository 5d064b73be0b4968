import { DomainError } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';

/** The door to clusters. This installation's runtime has none, so there are none to list and none can be added. */
@Injectable()
export class ClustersService {
  /** @throws DomainError `runtime_not_available`: there is no runtime for clusters */
  add(): never {
    throw new DomainError('unavailable', 'runtime_not_available', 'This server has no Kubernetes runtime', { retryAfter: 3600 });
  }
}
