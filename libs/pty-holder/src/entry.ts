import { type TerminalExit, type TerminalRecord } from '@devpocket/runtime';
import { constants } from 'node:os';
import { BINARIES, SOURCE } from './binaries';

/**
 * Runs the holder, and before that asks for it where it is not there yet: a line `N` and the machine's kind, answered by the length of
 * the program, a line's end, and the program. Where it cannot be kept or run, that is said. It comes once, so it is written into both
 * folders, and only a whole one gets its name. Needs a POSIX shell, `head`, `tee` and `wc`.
 */
const ENTER = `
name=.pty-holder-$1
shift
enter() {
  for dir in /tmp /var/tmp; do
    "$dir/$name" check 2>/dev/null && exec "$dir/$name" "$@"
  done
}
enter "$@"
printf 'N%s\\n' "$(uname -m)"
read -r size || exit 74
(
  umask 077
  head -c "$size" | tee "/tmp/$name.$$" "/var/tmp/$name.$$" >/dev/null
  for dir in /tmp /var/tmp; do
    new=$dir/$name.$$
    [ "$(wc -c <"$new")" -eq "$size" ] && chmod 700 "$new" && "$new" check && mv -f "$new" "$dir/$name" && break
  done
  rm -f "/tmp/$name.$$" "/var/tmp/$name.$$"
) 2>/dev/null
enter "$@"
echo 'No folder takes a program: /tmp and /var/tmp are full, not to be written to, or forbid to run what is there; or head, tee or wc is missing' >&2
exit 74
`;

/** Takes a shell's arguments; ended by `list`, `attach …` or `open …` of ../program/pty-holder.c. */
export function holderCommand(args: readonly string[]): readonly string[] {
  return ['/bin/sh', '-c', ENTER, 'devpocket', SOURCE.slice(0, 16), ...args];
}

/** What answers the line `N`; null for a machine that there is no program for. @param machine as `uname -m` says */
export function programFor(machine: string): Buffer | null {
  const encoded = BINARIES[machine];
  if (encoded === undefined) return null;
  const program = Buffer.from(encoded, 'base64');
  return Buffer.concat([Buffer.from(`${program.length}\n`), program]);
}

/** What `list` printed. @param reasonOf how an ended shell's end is to be named */
export function recordsOf(listing: string): readonly TerminalRecord[] {
  return listing.split('\n').flatMap((line) => {
    const [sessionId = '', ...fields] = line.split(' ');
    const [created = NaN, cols = NaN, rows = NaN, position = NaN, over = NaN, bySignal = NaN, value = NaN, ended = NaN] =
      fields.map(Number);
    if (fields.length !== 8 || !fields.every((field) => /^\d{1,15}$/.test(field))) return [];
    const exit = over === 1 ? exitOf(bySignal === 1, value) : null;
    return { sessionId, createdAt: new Date(created), cols, rows, position, exit, endedAt: exit && new Date(ended) };
  });
}

/** The shell's own end. */
export function exitOf(bySignal: boolean, value: number): TerminalExit {
  if (!bySignal) return { code: value, signal: null, reason: 'exited' };
  const name = Object.entries(constants.signals).find(([, number]) => number === value)?.[0];
  return { code: null, signal: name ?? `SIG${value}`, reason: 'killed' };
}
