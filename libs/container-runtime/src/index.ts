export * from './container-scripts';
export { imageReason } from './image-reason';
export * from './log-lines';
export * from './names';
export * from './saved-log';
export { COUNT_COMMAND, LONGEST_COUNT_MS, StorageMeter } from './storage-meter';
