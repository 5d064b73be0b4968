import { spawnSync } from 'node:child_process';
import { type Capabilities } from './capabilities';
import { SEARCH_PATH } from './search-path';
import { spawnSealed } from './spawn-sealed';

/*
 * By du and rm, which walk from folder to folder: a path that is longer than the system takes (PATH_MAX) hides nothing from them
 * and stops nothing, and no link that is put in the way is followed.
 */

export interface FolderUse {
  /** On disk; folders count, a file with several names counts once. */
  readonly bytes: number;
  readonly files: number;
}

/** Files come and go meanwhile: du complains of them, and its sum still holds. */
const DU = 'echo "k $(du -s -k -- "$1")"; echo "i $(du -s --inodes -- "$1")"';

/** Null when it could not be told. */
export async function folderUse(folder: string, capabilities: Capabilities): Promise<FolderUse | null> {
  // One program for this process to start, which starts two: a fork of it stalls every terminal.
  const { stdout } = await run([...asOwner(capabilities), 'sh', '-c', DU, 'devpocket', folder]);
  const [, kibibytes] = /^k (\d+)/m.exec(stdout) ?? [];
  const [, files] = /^i (\d+)/m.exec(stdout) ?? [];
  return kibibytes === undefined ? null : { bytes: Number(kibibytes) * 1024, files: Number(files ?? 0) };
}

/** @throws Error with what rm says */
export async function removeFolder(folder: string, capabilities: Capabilities): Promise<void> {
  if (capabilities.bwrap === null && !capabilities.isRoot) await run(['chmod', '-R', 'u+rwX', '--', folder]);
  const { code, stderr } = await run([...asOwner(capabilities), 'rm', '-rf', '--', folder]);
  if (code !== 0) throw new Error(`It could not be removed: ${stderr.trim().slice(0, 500)}`);
}

/** As root. @throws Error with what chown says */
export function giveFolder(folder: string, uid: number): void {
  const { status, stderr } = spawnSync('chown', ['-RhP', `${uid}:${uid}`, '--', folder], {
    env: { PATH: SEARCH_PATH, LC_ALL: 'C' },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`It could not be given to its user: ${stderr.trim().slice(0, 500)}`);
}

/** The owner of a folder may have closed it to himself; root of a user namespace over his files is not kept out. */
function asOwner({ bwrap, isRoot }: Capabilities): readonly string[] {
  return bwrap === null || isRoot ? [] : ['unshare', '--map-root-user', '--'];
}

function run([file = '', ...args]: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawnSealed(file, args, {
      cwd: '/',
      env: { PATH: SEARCH_PATH, LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(0, 2_000)));
    child.once('error', reject).once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
