// Holds the workflows to their rules, and the security page to its specs: what names something names what there is.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '..');
const read = (file) => readFileSync(join(root, file), 'utf8');
const faults = [];
const expect = (holds, fault) => holds || faults.push(fault);

/** What the hosted machines cannot do: pods of kind find this machine at no address that a show could know; nobody is root there. */
const NOT_HOSTED = new Set(['show:in-cluster', 'show:slow-link']);
/** Runs on the hosted machines alone: `.ci/run` has no registry that audits, makes no release, and has no time for the suite on three servers. */
const HOSTED_ONLY = new Set(['check:audit', 'release', 'test:replicas']);

const { scripts } = JSON.parse(read('package.json'));
/** The npm scripts that a text runs, also by the functions of `.ci/run`. */
function scriptsIn(text) {
  const found = [...text.matchAll(/\bnpm (?:run (?:--silent )?)?([a-z][a-z:-]*)/g)].map(([, name]) => name);
  const suites = [...text.matchAll(/\bsuite [\w-]+ ([\w:-]+)/g)].map(([, name]) => name);
  return new Set([...found, ...suites].filter((name) => name !== 'ci' && name !== 'run'));
}

const local = scriptsIn(read('.ci/run').replace(/(^|\s)#.*$/gm, ''));
const hosted = new Set();
for (const file of globSync('.github/workflows/*.yml', { cwd: root })) {
  const text = read(file);
  const { jobs, permissions } = parse(text);
  expect(permissions && Object.values(permissions).every((right) => right === 'read'), `${file}: permissions are not read alone`);
  for (const [name, job] of Object.entries(jobs)) {
    expect(typeof job['timeout-minutes'] === 'number', `${file}: ${name} has no timeout-minutes`);
    for (const { run = '', uses, with: inputs } of job.steps) {
      for (const script of scriptsIn(run)) hosted.add(script);
      // What anybody can put into a title or a branch's name is no part of a script.
      expect(!run.includes('${{'), `${file}: ${name} puts an expression into a script; hand it over as env`);
      if (uses === undefined) continue;
      expect(/@[0-9a-f]{40}$/.test(uses), `${file}: ${uses} is not pinned by its commit`);
      expect(new RegExp(`${uses} # v\\d`).test(text), `${file}: ${uses} does not say which version it is`);
      if (uses.startsWith('actions/checkout@'))
        expect(inputs?.['persist-credentials'] === false, `${file}: ${name} leaves its token in the checkout`);
    }
  }
}
for (const name of [...local, ...hosted]) expect(name in scripts, `there is no npm script ${name}`);
for (const name of local) expect(hosted.has(name) || NOT_HOSTED.has(name), `${name} of .ci/run is in no workflow`);
for (const name of hosted) expect(local.has(name) || HOSTED_ONLY.has(name), `${name} of the workflows is not in .ci/run`);

const named = [...read('.github/SECURITY.md').matchAll(/`((?:apps|libs|scripts)\/[\w./-]+\.(?:ts|mjs|cjs|yaml|yml))`/g)].map(
  ([, file]) => file,
);
expect(named.length > 20, 'SECURITY.md names no specs');
for (const file of new Set(named)) expect(existsSync(join(root, file)), `SECURITY.md names ${file}, which there is not`);

for (const fault of faults) console.error(fault);
if (faults.length === 0)
  console.log(`workflows: ${hosted.size} npm scripts, all there; SECURITY.md: ${new Set(named).size} files, all there`);
process.exitCode = faults.length === 0 ? 0 : 1;
