import { type TerminalChannel, type TerminalRequest } from '@devpocket/runtime';
import { type Socket } from 'node:net';

/** What serves the clients of shells in the process that holds them. */
export interface HostFront {
  /** Of one message of the server's; those that come one after the other are begun in that order. @returns its answer, as JSON has it */
  answer(message: unknown): Promise<unknown>;
  /** The server is gone: nobody judges clients any more. */
  lost(): void;
}

export interface FrontNeeds {
  /** Output kept per session, in bytes. */
  readonly bufferBytes: number;
  /** @throws RuntimeError `gone` when the environment does not run */
  open(environmentId: string, request: TerminalRequest): TerminalChannel;
  /** Says something to the server, if there is one. */
  tell(message: object): void;
  /** A client's connection that the server gave to this process, once. @param name @see SessionProcess.give @returns null: there is none */
  connection(name: string): Socket | null;
  log(message: string): void;
}

export type FrontMaker = (needs: FrontNeeds) => HostFront;
