// The suites on a real cluster: they fail, not skip, without KUBECONFIG.
const { jest } = require('../../package.json');

module.exports = {
  ...jest,
  rootDir: '../..',
  testMatch: ['**/*.kube-spec.ts'],
  testTimeout: 180_000,
  globalSetup: './scripts/jest/kube-setup.ts',
  globalTeardown: './scripts/jest/kube-teardown.ts',
};
