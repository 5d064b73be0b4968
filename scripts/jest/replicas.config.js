// End-to-end specs on three servers each, round-robin behind nginx without stickiness, on MongoDB (MONGODB_URL) and a Redis of the run's
// own. They are the specs that `npm test` runs on one server; specs of other suites (`.int-spec`, `.kube-spec`, `.docker-spec`) start what they
// need by themselves. The servers share this process, so that a spec can still look inside one and steer the runtime that all have.
const { jest } = require('../../package.json');

process.env.DEVPOCKET_TEST_REPLICAS = '3';

/** What cannot be so behind a proxy, or on several servers, and why. */
const OTHERWISE = [
  // nginx answers these by itself, or reads what they hold back; how the product's configuration does that, its own suite shows.
  'every answer to a broken percent-encoding',
  'every answer refuses a body that is declared too large before it is sent',
  'a forged access token of any length',
  'what is injected into a path names nothing',
  'cannot be got round by writing the path another way',
  // `X-Accel-Buffering` is for nginx, which takes it.
  'events come as they happen, in their order, over both streams alike',
  // They look at the whole database before and after, and take more than the minute after which usage is sampled.
  'what is injected as a member that no call has',
  'what is injected into a query',
  // It stops the first server alone: the others take who knocks.
  'turns away who knocks while it stops',
  // That a template has a newer version is known to other servers up to 5 s later.
  'templates over HTTP are made, changed by versions',
];

module.exports = {
  ...jest,
  rootDir: '../..',
  roots: ['<rootDir>/apps/api'],
  testTimeout: 120_000,
  // The server's own way with connections, which are nginx's here.
  testPathIgnorePatterns: ['slow-clients.spec.ts$'],
  testNamePattern: `^(?!.*(${OTHERWISE.join('|')}))`,
  globalSetup: './scripts/jest/replicas-setup.ts',
  globalTeardown: './scripts/jest/replicas-teardown.ts',
};
