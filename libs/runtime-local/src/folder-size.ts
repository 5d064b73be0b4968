import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes on disk below a folder; links are counted, not followed. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  const walk = async (path: string): Promise<void> => {
    for await (const entry of await opendir(path)) {
      const file = join(path, entry.name);
      if (entry.isDirectory()) await walk(file).catch(() => undefined);
      else bytes += (await lstat(file).catch(() => null))?.blocks ?? 0;
    }
  };
  await walk(folder).catch(() => undefined);
  return bytes * 512;
}
