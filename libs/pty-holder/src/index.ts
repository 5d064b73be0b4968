export { holderCommand, programFor, recordsOf } from './entry';
export { HeldTerminal, type HeldTerminalOptions } from './held-terminal';
export { type HolderStream, type RunInContainer } from './holder-connection';
