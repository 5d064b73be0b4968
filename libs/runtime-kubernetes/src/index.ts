export { KubernetesDriver, type KubernetesRuntimeOptions } from './kubernetes.driver';
