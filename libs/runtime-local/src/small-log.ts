import { copyFileSync, fstatSync, ftruncateSync } from 'node:fs';

const MOST_BYTES = 1024 * 1024;

/**
 * Keeps a log that is open for appending small: what is full is kept once more beside it, as `<file>.1`, and it begins anew.
 * @param fd of the file; of anything else nothing is done
 */
export function keepSmall(file: string, fd: number, mostBytes = MOST_BYTES): void {
  try {
    if (fstatSync(fd).size < mostBytes) return;
    copyFileSync(file, `${file}.1`);
    ftruncateSync(fd, 0);
  } catch {
    // A log that cannot be kept small is no reason to end shells.
  }
}
