import { type RestClient, TerminalClient, type TerminalExitView } from '@devpocket/client';
import { constants } from 'node:os';
import { UserError } from './user-error';

/** Ctrl-] as in telnet: leaves the session, the shell goes on. */
const DETACH = '\x1d';
/** What an emulator answers to a program's question (cursor position, device attributes, colours): not typed by anyone. */
// eslint-disable-next-line no-control-regex -- these are control sequences
const EMULATOR_REPLY = /\x1b\[[?>]?[\d;]*[cRn]|\x1b\][\d;]+[^\x07\x1b]*(?:\x07|\x1b\\)|\x1bP[^\x1b]*\x1b\\/g;

export interface AttachOptions {
  readonly client: RestClient;
  readonly environmentId: string;
  readonly sessionId?: string;
  /** Output of the session up to here is already shown. */
  readonly after?: number;
}

interface Left {
  readonly exit: TerminalExitView | null;
  readonly code: number;
  readonly error: string | null;
  /** The command that goes on where this left; null when it did not leave by its own wish. */
  readonly back: string | null;
}

/** Joins this terminal to the environment's until the shell ends or Ctrl-] is typed. @returns the exit code to end with */
export async function attachTerminal({ client, environmentId, sessionId, after }: AttachOptions): Promise<number> {
  const { stdin, stdout } = process;
  let replaying = false;
  const size = (): { cols: number; rows: number } => ({ cols: clamp(stdout.columns || 80), rows: clamp(stdout.rows || 24) });
  const end = await new Promise<Left>((resolve) => {
    const terminal = new TerminalClient({
      url: client.url,
      environmentId,
      token: () => client.accessToken(),
      ...size(),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(after === undefined ? {} : { after }),
      protocol: 'binary',
      // Acknowledged when they are out: a slow reader slows the shell and fills no memory here.
      onBytes: (data, _seq, replayed) => {
        replaying = replayed;
        return new Promise((written) => stdout.write(data, () => written()));
      },
      onGap: (bytes) => process.stderr.write(`\r\n[${bytes} bytes of output were skipped]\r\n`),
      onDisconnected: () => process.stderr.write('\r\n[connection lost, reconnecting …]\r\n'),
      onEnd: (how) => {
        restore();
        const back = `devpocket attach ${environmentId} --session ${terminal.session ?? ''} --after ${terminal.position}`;
        resolve({ ...how, back: leaving ? back : null });
      },
    });
    let leaving = false;
    const onData = (data: string): void => {
      if (leaving) return;
      const typed = replaying ? data.replace(EMULATOR_REPLY, '') : data;
      const end = stdin.isTTY ? typed.indexOf(DETACH) : -1;
      if (end !== 0 && typed !== '') terminal.input(end > 0 ? typed.slice(0, end) : typed);
      if (end < 0) return;
      leaving = true;
      terminal.leave();
    };
    // A pipe that ends is the end of what is typed: the shell sees Ctrl-D.
    const onEnd = (): void => terminal.input('\x04');
    const onResize = (): void => {
      const { cols, rows } = size();
      terminal.resize(cols, rows);
    };
    const restore = (): void => {
      stdin.off('data', onData).off('end', onEnd);
      stdout.off('resize', onResize);
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.pause();
    };
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.setEncoding('utf8').on('data', onData).on('end', onEnd);
    stdout.on('resize', onResize);
    terminal.connect();
  });
  if (end.exit) return exitCodeOf(end.exit);
  if (end.back !== null) {
    process.stderr.write(`\r\n[left; the shell goes on. Come back to it: ${end.back}]\r\n`);
    return 0;
  }
  throw new UserError(`The terminal was closed (${end.error ?? String(end.code)})`);
}

/** As a shell tells of its own child: a signal is 128 and its number. */
function exitCodeOf({ code, signal }: TerminalExitView): number {
  return code ?? 128 + (constants.signals[signal as keyof typeof constants.signals] ?? 0);
}

function clamp(value: number): number {
  return Math.min(1000, Math.max(1, value));
}
