import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';

/** How a process ended: by exiting or by a signal. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: string | null;
}

/** @param pid of one process; 0, which is not known yet, is nobody */
export function signal(pid: number, name: NodeJS.Signals): void {
  if (pid <= 0) return;
  try {
    process.kill(pid, name);
  } catch {
    // it has ended meanwhile
  }
}

export function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // it has ended meanwhile
  }
}

/** Its number in its own pid namespace; 0: it has ended. */
export function innerPid(pid: number): number {
  try {
    const numbers = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';
    return Number(numbers.split('\t').at(-1));
  } catch {
    return 0;
  }
}

/** @param status as wait(2) has it */
export function endOfStatus(status: number): ProcessEnd {
  const ending = status & 127;
  if (ending === 0) return { code: status >> 8, signal: null };
  const [name] = Object.entries(constants.signals).find(([, number]) => number === ending) ?? [];
  return { code: null, signal: name ?? `SIG${ending}` };
}

/** Of one that has ended and that its parent has not been told of yet; null: it runs, or is no more. */
export function endOf(pid: number): ProcessEnd | null {
  const fields = statOf(pid);
  return fields[0] === 'Z' ? endOfStatus(Number(fields[49])) : null;
}

/** By a signal or a debugger. */
export function isStopped(pid: number): boolean {
  return statOf(pid)[0]?.toUpperCase() === 'T';
}

/** What follows a process's name in proc(5)'s stat, of which field 3 is the first; nothing: it has ended. */
export function statOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
  } catch {
    return [];
  }
}

function allPids(): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/** Processes whose pid namespace is that of `target`. */
export function namespacePids(target: number): readonly number[] {
  const own = namespaceOf(String(target));
  return own === null
    ? []
    : allPids()
        .filter((pid) => namespaceOf(pid) === own)
        .map(Number);
}

function namespaceOf(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
}

/** Processes that bear the environment's mark in their variables: how plain ones are found again. */
export function markedPids(environmentId: string): readonly number[] {
  if (process.platform !== 'linux') return [];
  return allPids()
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`DEVPOCKET_ENVIRONMENT=${environmentId}`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Of what control groups do not count. */
export function usageOf(pids: readonly number[]): { readonly cpuNanos: number; readonly memoryBytes: number } {
  let ticks = 0;
  let pages = 0;
  for (const pid of pids) {
    const fields = statOf(pid);
    if (fields.length === 0) continue; // it has just ended
    ticks += Number(fields[11]) + Number(fields[12]);
    pages += Number(fields[21]);
  }
  return { cpuNanos: ticks * 10_000_000, memoryBytes: pages * 4096 };
}

/** Bytes received and sent by the network that a process is in. */
export function networkUsage(pid: number): readonly [number, number] | null {
  try {
    const lines = readFileSync(`/proc/${pid}/net/dev`, 'utf8').split('\n').slice(2);
    let received = 0;
    let sent = 0;
    for (const line of lines) {
      const [name = '', rest = ''] = line.split(':');
      if (name.trim() === 'lo' || rest === '') continue;
      const fields = rest.trim().split(/\s+/);
      received += Number(fields[0]);
      sent += Number(fields[8]);
    }
    return [received, sent];
  } catch {
    return null;
  }
}
