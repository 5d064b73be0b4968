export { type EngineCall, EngineProxy, type Fate } from './engine-proxy';
export { StubEngine } from './stub-engine';
export { reach, TEST_IMAGE, testEngine, TestEngine } from './test-engine';
export { TestRegistry } from './test-registry';
export { TlsRelay } from './tls-relay';
export { TestDaemon } from './test-daemon';
