// The suite on a server that runs somewhere, in its image: `npm run show:image` starts one and runs it.
const { jest } = require('../../package.json');

module.exports = { ...jest, rootDir: '../..', testMatch: ['**/*.served-spec.ts'], testTimeout: 120_000 };
