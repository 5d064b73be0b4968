// Every commit message of a range, by default of all that led here: `npm run check:commits [-- --from <commit>]`.
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { from: { type: 'string' }, to: { type: 'string', default: 'HEAD' } } });
const root = join(import.meta.dirname, '..');
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();

/** The first commit of all, or null where this is no checkout, or one without its history. */
function first() {
  try {
    if (git('rev-parse', '--is-shallow-repository') === 'true') return null;
    return git('rev-list', '--max-parents=0', values.to).split('\n').at(-1) ?? null;
  } catch {
    return null;
  }
}

const from = values.from ?? first();
if (from === null) {
  console.log('no history here: no commit messages to check');
} else {
  const args = ['commitlint', '--config', 'scripts/commitlint.config.cjs', '--from', from, '--to', values.to];
  const { status } = spawnSync('npx', ['--no-install', ...args], { cwd: root, stdio: 'inherit' });
  if (status === 0) console.log(`${git('rev-list', '--count', `${from}..${values.to}`)} commit messages are conventional`);
  process.exitCode = status ?? 1;
}
