export { reach, TEST_IMAGE, testEngine, TestEngine } from './test-engine';
