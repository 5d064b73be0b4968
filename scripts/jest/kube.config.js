// The suites on a real cluster: they fail, not skip, without KUBECONFIG.
const { jest } = require('../../package.json');

module.exports = {
  ...jest,
  rootDir: '../..',
  testMatch: ['**/*.kube-spec.ts'],
  testTimeout: 180_000,
  // They wait for the cluster more than they work.
  maxWorkers: 3,
  globalSetup: './scripts/jest/kube-setup.ts',
  globalTeardown: './scripts/jest/kube-teardown.ts',
};
