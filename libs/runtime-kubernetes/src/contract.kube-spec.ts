import { describeDriverContract } from '@testing/runtime';
import { TEST_CLUSTER, TEST_IMAGE, TestCluster } from '../testing';

describeDriverContract('a Kubernetes cluster', async () => {
  const cluster = await TestCluster.open('this');
  let current = await cluster.driver();
  return {
    driver: current,
    where: { clusterId: TEST_CLUSTER, image: TEST_IMAGE },
    reopen: async () => {
      await current.close({ keepTerminals: true });
      current = await cluster.driver();
      return current;
    },
    close: () => cluster.close(),
  };
});
