export { KubernetesDriver, type KubernetesRuntimeOptions } from './kubernetes.driver';
export { KubernetesInspector } from './kubernetes-inspector';
