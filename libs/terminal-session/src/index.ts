export * from './attach-client';
export { bufferOf, FrameIntake } from './frame-intake';
export * from './query.protocol';
export type { ScreenFormat } from './screen.messages';
export { ScreenThread } from './screen-thread';
export * from './session-store';
export type { ScreenAt } from './session-screen';
export { isPingId, parseObject } from './terminal.protocol';
export type { TerminalSession } from './terminal-session';
