import { describeInspectorContract } from '@testing/runtime';
import { KubernetesInspector } from './kubernetes-inspector';

describeInspectorContract('Kubernetes', () => new KubernetesInspector());
