import { describeInspectorContract, FakeClusterInspector } from '@testing/runtime';

describeInspectorContract('the fake inspector', () => new FakeClusterInspector());
