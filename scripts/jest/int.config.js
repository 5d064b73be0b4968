// The real-part suites: each fails, not skips, when the service it names in an environment variable is absent.
const { jest } = require('../../package.json');

module.exports = { ...jest, rootDir: '../..', testMatch: ['**/*.int-spec.ts'], testTimeout: 120_000 };
