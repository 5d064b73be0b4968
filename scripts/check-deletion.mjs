// The deletion test: what breaks when a library's folder is removed is what names it in one place, and nothing else.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
/** What tries a library out goes with it. */
const TRIAL = /spec\.ts$|\/testing\/|^scripts\//;
const CASES = [
  ['libs/runtime-local', 'apps/api/src/runtime-drivers.ts', 'apps/cli/src/local-machine.ts', 'apps/pty-host/src/main.ts'],
  ['libs/runtime-docker', 'apps/api/src/runtime-drivers.ts', 'apps/cli/src/container-engine.ts'],
  ['libs/runtime-kubernetes', 'apps/api/src/runtime-drivers.ts', 'apps/cli/src/cluster-inspector.ts'],
  ['libs/terminal', 'apps/api/src/app.module.ts'],
];

for (const [removed, ...expected] of CASES) {
  const copy = mkdtempSync(join(tmpdir(), 'devpocket-deletion-'));
  try {
    for (const name of ['apps', 'libs', 'scripts', 'package.json', 'tsconfig.json'])
      cpSync(join(root, name), join(copy, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    rmSync(join(copy, removed), { recursive: true });
    let output = '';
    try {
      execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.json', '--pretty', 'false'], {
        cwd: copy,
        encoding: 'utf8',
      });
    } catch (error) {
      output = error.stdout;
    }
    const broken = [...new Set([...output.matchAll(/^(\S+?)\(\d+,\d+\): error/gm)].map(([, file]) => file))].filter(
      (file) => !TRIAL.test(file),
    );
    console.log(`without ${removed}: ${broken.join(', ') || 'nothing'} breaks`);
    if (broken.sort().join() !== expected.join()) process.exitCode = 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
