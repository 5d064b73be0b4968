// Those of the suites on a container engine that show that nothing depends on whose engine it is, for Podman's API at DOCKER_HOST.
const docker = require('./docker.config.js');

const names = ['contract', 'docker'];
module.exports = { ...docker, testMatch: names.map((name) => `**/${name}.docker-spec.ts`), maxWorkers: 1 };
