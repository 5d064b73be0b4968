// The suites on a real cluster: they fail, not skip, without KUBECONFIG.
const { jest } = require('../../package.json');

module.exports = { ...jest, rootDir: '../..', testMatch: ['**/*.kube-spec.ts'], testTimeout: 180_000 };
