import { SEARCH_PATH } from './search-path';
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What this machine has for the local runtime. */
export interface Capabilities {
  /** Path of a bubblewrap that works here; null: environments are plain processes. */
  readonly bwrap: string | null;
  readonly pasta: string | null;
  readonly slirp4netns: string | null;
  /** Of iproute2: closes the way to this machine's own addresses. */
  readonly ip: string | null;
  readonly isRoot: boolean;
}

function find(name: string): string | null {
  for (const folder of SEARCH_PATH.split(delimiter).concat('/usr/sbin', '/sbin')) {
    if (folder === '') continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue; // not in this one
    }
  }
  return null;
}

/** Tried rather than assumed: a bubblewrap that is installed may be forbidden to make namespaces. */
export function detectCapabilities(): Capabilities {
  const isRoot = process.getuid?.() === 0;
  if (process.platform !== 'linux') return { bwrap: null, pasta: null, slirp4netns: null, ip: null, isRoot };
  const bwrap = find('bwrap');
  const needed = bwrap !== null && ['nsenter', 'setpriv', 'unshare', 'setsid', 'prlimit'].every((tool) => find(tool) !== null);
  const works =
    needed &&
    spawnSync(bwrap, ['--unshare-all', '--ro-bind', '/', '/', '--proc', '/proc', 'true'], {
      stdio: 'ignore',
      ...(isRoot ? { uid: 65534, gid: 65534 } : {}),
    }).status === 0;
  return {
    bwrap: works ? bwrap : null,
    pasta: find('pasta'),
    slirp4netns: find('slirp4netns'),
    ip: find('ip'),
    isRoot,
  };
}
