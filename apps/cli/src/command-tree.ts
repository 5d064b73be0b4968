import { InjectCommander } from 'nest-commander';
import { Injectable } from '@nestjs/common';

/** Of Commander's, as far as it is used here: nest-commander has a version of its own. */
interface CommandNode {
  readonly commands: readonly CommandNode[];
  allowExcessArguments(allow: boolean): this;
  exitOverride(callback: (error: Error) => never): this;
  configureOutput(configuration: { readonly writeErr?: (text: string) => void }): this;
}

/** A command line that cannot be read; `exitCode` 0: help or the version was asked for and shown. */
export interface CommandLineError extends Error {
  readonly exitCode: number;
  readonly code: string;
}

export function isCommandLineError(error: unknown): error is CommandLineError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('commander.');
}

/** Rules for every command, which Commander hands down to none that was made apart. */
@Injectable()
export class CommandTree {
  constructor(@InjectCommander() private readonly root: CommandNode) {}

  /** Refuses arguments that a command does not take, and leaves ending the process to us. @param quiet no text beside JSON */
  makeStrict(quiet: boolean): void {
    const visit = (command: CommandNode): void => {
      command.allowExcessArguments(false).exitOverride((error) => {
        throw error;
      });
      if (quiet) command.configureOutput({ writeErr: () => undefined });
      for (const child of command.commands) visit(child);
    };
    visit(this.root);
  }
}
