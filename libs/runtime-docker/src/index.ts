export { DockerDriver, type DockerRuntimeOptions } from './docker.driver';
export { type EngineSettings } from './engine-address';
export { type EngineSight, lookAtEngine } from './engine-probe';
