import { describeDriverContract } from '@testing/runtime';
import { TEST_IMAGE, TestEngine } from '../testing';

describeDriverContract('a container engine', async () => {
  const engine = await TestEngine.open('this');
  await engine.clear();
  let current = await engine.driver();
  return {
    driver: current,
    where: { clusterId: null, image: TEST_IMAGE },
    reopen: async () => {
      await current.close({ keepTerminals: true });
      current = await engine.driver();
      return current;
    },
    close: () => engine.close(),
  };
});
