// End-to-end specs on three servers each, round-robin behind nginx without stickiness, on MongoDB (MONGODB_URL) and a Redis of the run's
// own. They are the specs that `npm test` runs on one server.
const { jest } = require('../../package.json');

process.env.DEVPOCKET_TEST_REPLICAS = '3';

module.exports = {
  ...jest,
  rootDir: '../..',
  roots: ['<rootDir>/apps/api'],
  testTimeout: 60_000,
  globalSetup: './scripts/jest/replicas-setup.ts',
  globalTeardown: './scripts/jest/replicas-teardown.ts',
};
