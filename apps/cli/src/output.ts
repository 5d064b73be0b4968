import { CommandRunner, Option } from 'nest-commander';
import { type EnvelopeError, type UserError } from './user-error';

/** What every command that is not a terminal takes. */
export interface OutputOptions {
  readonly json?: boolean;
}

/** A command whose result can also be had by a program. */
export abstract class ReportingCommand extends CommandRunner {
  @Option({ flags: '--json', description: 'the result as one line of JSON (apps/cli/README.md)' })
  json(): boolean {
    return true;
  }
}

/** What stands on standard output after `--json`: this, as one line. Members are snake_case, times ISO 8601. */
export type Envelope =
  { readonly ok: true; readonly data: unknown } | { readonly ok: false; readonly data: unknown; readonly error: EnvelopeError };

/**
 * Tells a result, for a program or for a person.
 * @param text with its line ends
 * @param problem what is wrong in spite of it
 * @throws UserError the problem, with the result in it when nothing was printed yet
 */
export function report({ json = false }: OutputOptions, data: unknown, text: string, problem: UserError | null = null): void {
  if (!json) process.stdout.write(text);
  else if (problem) throw problem.with(data);
  else print({ ok: true, data });
  if (problem) throw problem;
}

export function print(envelope: Envelope): void {
  process.stdout.write(`${JSON.stringify(envelope)}\n`);
}
