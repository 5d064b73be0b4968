import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export function signal(pid: number, name: NodeJS.Signals): void {
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
