import { existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { hasCode } from './error-code';

/**
 * Makes a folder and those above it that are missing. Node's own `recursive` tries for ever where a parent is there and nothing can be
 * made in it, as in /proc (mkdir says ENOENT).
 * @throws Error of the system
 */
export function makeFolder(path: string, mode = 0o700): void {
  const missing: string[] = [];
  for (let folder = resolve(path); !existsSync(folder); folder = dirname(folder)) missing.unshift(folder);
  for (const folder of missing) {
    try {
      mkdirSync(folder, { mode });
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error; // another process made it
    }
  }
}
