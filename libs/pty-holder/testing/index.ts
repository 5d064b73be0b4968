export { LocalStream } from './local-stream';
