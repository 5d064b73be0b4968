import { type ChildProcess, type IOType, spawn, type SpawnOptions } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';

const O_CLOEXEC = 0o2000000;
let nowhere: number | null = null;

export type Descriptors = readonly (IOType | number)[];

/**
 * Starts a program that inherits nothing but what it is given. Node closes on exec what it opens itself, but not what native code
 * does (the program's end of a PTY, and the end that whoever holds it reads and types at) nor what this process was started with.
 */
export function spawnSealed(
  file: string,
  args: readonly string[],
  { stdio, ...options }: Omit<SpawnOptions, 'stdio'> & { readonly stdio: Descriptors },
): ChildProcess {
  return spawn(file, args, { ...options, stdio: sealed(stdio) });
}

/** What native code of ours has open: it says so here, since looking through all files takes longer than the fork. */
export const unsealed = new Set<number>();
/** What this process was started with. */
let before: readonly number[] | null = null;

/** There is no call that closes a descriptor in the child alone: each that would pass becomes /dev/null. */
function sealed(stdio: Descriptors): (IOType | number)[] {
  const all = [...stdio];
  before ??= inherited();
  for (const fd of new Set([...before, ...unsealed])) {
    if (fd < stdio.length) continue;
    nowhere ??= openSync('/dev/null', 'r+');
    while (all.length < fd) all.push('ignore');
    all[fd] = nowhere;
  }
  return all;
}

function inherited(): readonly number[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => {
      try {
        const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0';
        return (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
      } catch {
        return false; // it was the one that read the folder
      }
    })
    .sort((a, b) => a - b);
}
