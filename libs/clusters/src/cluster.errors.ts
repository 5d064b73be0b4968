import { DomainError } from '@devpocket/kernel';

export const clusterNotFound = (): DomainError => DomainError.notFound('Cluster');

export const clusterNameTaken = (): DomainError =>
  new DomainError('duplicate', 'name_taken', 'There is a cluster of this name already');

export const clusterInUse = (environments: number): DomainError =>
  new DomainError('invalid_state', 'cluster_in_use', `The cluster has ${environments} environments`, {
    extra: { environments_count: environments },
  });

export const runtimeNotAvailable = (): DomainError =>
  new DomainError('unavailable', 'runtime_not_available', 'This server has no Kubernetes runtime', { retryAfter: 3600 });

export const invalidKubeConfig = (message: string): DomainError =>
  DomainError.invalid({ field: 'kube_config', code: 'invalid_kube_config', message });
