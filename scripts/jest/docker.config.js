// The suites on a real container engine: they fail, not skip, without DOCKER_HOST.
const { jest } = require('../../package.json');

module.exports = { ...jest, rootDir: '../..', testMatch: ['**/*.docker-spec.ts'], testTimeout: 120_000, maxWorkers: 2 };
