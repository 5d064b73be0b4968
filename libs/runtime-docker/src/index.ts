export { DockerDriver, type DockerRuntimeOptions } from './docker.driver';
export { type EngineSettings } from './engine-address';
export { answers } from './engine-probe';
