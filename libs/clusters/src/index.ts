export {
  type Amounts,
  type Cluster,
  type ClusterAddition,
  type ClusterChange,
  type ClusterView,
  DEFAULT_MAX_ENVIRONMENTS,
  DEFAULT_OPTIONS,
} from './cluster';
export { type ClusterHealth, ClusterHealthService } from './cluster-health.service';
export { ClusterPlacement } from './cluster-placement';
export { ClusterUsageRegistry, ClusterUsageSource } from './cluster-usage';
export * from './clusters.module';
export { type ClusterActor, ClustersService } from './clusters.service';
export { KeyRotationService, type Rotation } from './key-rotation.service';
export { type Wish as PlacementWish } from './placement.policy';
