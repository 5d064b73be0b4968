// Builds when a source is newer than what was built from it.
const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync, statSync, utimesSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const stamp = join(root, 'dist/apps/api/src/main.js');

/** The time of the newest source below `folder`, in ms since the epoch; 0 without one. */
function newest(folder) {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0);
}

function isBuilt() {
  return existsSync(stamp) && statSync(stamp).mtimeMs >= Math.max(newest(join(root, 'apps')), newest(join(root, 'libs')));
}

/** Ends the process with the builder's own words when it fails. */
function build() {
  if (isBuilt()) return;
  const nest = join(root, 'node_modules/@nestjs/cli/bin/nest.js');
  if (!existsSync(nest)) return; // an installation without the builder: it was built before
  const begun = new Date();
  const { status } = spawnSync(process.execPath, [nest, 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
  utimesSync(stamp, begun, begun); // a source saved while it was built counts as newer
}

module.exports = { build };
