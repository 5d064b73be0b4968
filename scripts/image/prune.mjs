// Leaves of ./node_modules what the server needs on this machine, by the lock file: no packages of development, none of the optional ones
// but the PTYs of this platform, and nothing that only people and debuggers read. Licences stay. Run in the image's build.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

const PLATFORM = `${process.platform}-${process.arch}`;
const PTYS = `node_modules/@lydell/node-pty-${PLATFORM}`;
/** Of a package, at its root. */
const UNREAD_FOLDERS = new Set([
  '.github',
  '__tests__',
  'benchmark',
  'benchmarks',
  'coverage',
  'doc',
  'docs',
  'example',
  'examples',
  'test',
  'tests',
]);
const UNREAD_FILES = /\.(?:map|md|markdown|[cm]?ts|tsbuildinfo|flow)$/i;
const LICENCE = /^(?:licen[cs]e|copying|notice)/i;

function remove(path) {
  rmSync(path, { recursive: true, force: true });
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const kept = [];
for (const [path, { dev, devOptional, optional }] of Object.entries(packages)) {
  if (path === '') continue;
  if (dev || devOptional || (optional && path !== PTYS)) remove(path);
  else if (existsSync(path)) kept.push(path);
}
for (const link of ['node_modules/.bin', 'node_modules/.package-lock.json', 'node_modules/.cache']) remove(link);

for (const path of kept) {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory() && UNREAD_FOLDERS.has(entry.name)) remove(join(path, entry.name));
  }
}
for (const entry of readdirSync('node_modules', { withFileTypes: true, recursive: true })) {
  const path = join(entry.parentPath, entry.name);
  if (entry.isFile() && UNREAD_FILES.test(entry.name) && !LICENCE.test(entry.name)) remove(path);
  // Binaries for other machines.
  if (entry.isDirectory() && basename(entry.parentPath) === 'prebuilds' && entry.name !== PLATFORM) remove(path);
}
for (const entry of readdirSync('dist', { withFileTypes: true, recursive: true })) {
  if (entry.isFile() && entry.name.endsWith('.map')) remove(join(entry.parentPath, entry.name));
}
