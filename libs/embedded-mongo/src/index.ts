export { startEmbeddedMongo, type EmbeddedMongo, type EmbeddedMongoOptions } from './embedded-mongo';
export { FolderLockedError } from './folder-lock';
export { openSnapshot, type Snapshot } from './snapshot';
