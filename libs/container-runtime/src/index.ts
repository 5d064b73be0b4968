export * from './container-scripts';
export { imageReason } from './image-reason';
export * from './log-lines';
export * from './names';
export * from './saved-log';
