import { type ClusterInspector } from '@devpocket/runtime';
import { KubernetesInspector } from '@devpocket/runtime-kubernetes';

/** The command line's only mention of a driver's library. */
export function clusterInspector(): ClusterInspector {
  return new KubernetesInspector();
}
