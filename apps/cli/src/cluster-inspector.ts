import { type ClusterInspector } from '@devpocket/runtime';

/** The command line's only mention of a driver's library. */
export function clusterInspector(): ClusterInspector | null {
  return null;
}
