export { FakeDriver, type FakeOptions } from './fake.driver';
export { FakeTerminal } from './fake-terminal';
export { describeDriverContract, type DriverHarness } from './driver-contract';
export { FakeClusterInspector } from './fake-inspector';
export { describeInspectorContract } from './inspector-contract';
export { ACCEPTED_KUBE_CONFIGS, KUBE_SECRETS, kubeConfig, REFUSED_KUBE_CONFIGS } from './kube-configs';
