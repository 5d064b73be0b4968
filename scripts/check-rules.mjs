// Plants a handful of faults and expects the rules to catch each: a rule that catches nothing is worse than none.
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const NAME = 'planted-fault';

/** file (without the part that names it planted) · the text · the rule that must name it */
const FAULTS = [
  // dependency rules
  [`libs/kernel/src/${NAME}-package.ts`, `import 'rxjs';`, 'kernel-is-plain'],
  [`libs/kernel/src/${NAME}-up.ts`, `import '@devpocket/config';`, 'doors-of-kernel'],
  [`libs/config/src/${NAME}-back-door.ts`, `import '../../kernel/src/clock';`, 'through-the-door'],
  [`libs/shared-state/src/${NAME}-up.ts`, `import '@devpocket/http';`, 'doors-of-shared-state'],
  [`libs/http/src/${NAME}-fakes.ts`, `import '@testing/kernel';`, 'no-fakes-in-the-product'],
  [`libs/unlisted/src/${NAME}.ts`, `import 'node:fs';`, 'listed-libraries'],
  [`libs/runtime/src/${NAME}.policy.ts`, `import '@nestjs/common';`, 'room-pure'],
  [`libs/http/src/${NAME}.controller.ts`, `import './idempotency.repository';`, 'room-controller'],
  [`libs/http/src/${NAME}.service.ts`, `import './page.dto';`, 'room-service'],
  [`apps/cli/src/${NAME}.ts`, `import '../../api/src/server';`, 'no-app-from-an-app'],
  [`apps/api/src/${NAME}.ts`, `import '@devpocket/runtime-local';`, 'drivers-are-named-once'],
  // lint rules
  [`libs/http/src/${NAME}-env.ts`, `export const port = process.env.PORT;`, 'no-restricted-properties'],
  [
    `libs/http/src/${NAME}-floating.ts`,
    `export function f(): void {\n  Promise.resolve();\n}`,
    '@typescript-eslint/no-floating-promises',
  ],
  [`libs/http/src/${NAME}-any.ts`, `export const anything = (x: any): number => 1;`, '@typescript-eslint/no-explicit-any'],
  [
    `libs/http/src/${NAME}-switch.ts`,
    `export function f(kind: 'a' | 'b'): void {\n  switch (kind) {\n    case 'a':\n      break;\n  }\n}`,
    '@typescript-eslint/switch-exhaustiveness-check',
  ],
  // types
  [`libs/kernel/src/${NAME}-index.ts`, `export const first = (list: string[]): string => list[0];`, 'TS2322'],
  [`libs/kernel/src/${NAME}-optional.ts`, `export const o: { a?: string } = { a: undefined };`, 'TS2375'],
];

function output(command, args) {
  try {
    return execFileSync(join(root, 'node_modules/.bin', command), args, {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    return error.stdout + error.stderr;
  }
}

function clear() {
  for (const file of globSync(`{apps,libs}/**/${NAME}*`, { cwd: root })) rmSync(join(root, file));
  rmSync(join(root, 'libs/unlisted'), { recursive: true, force: true });
}

/** Pairs `file rule` of everything that some tool found in a planted file. */
function findings() {
  const found = new Set();
  const files = FAULTS.map(([file]) => file);
  const { summary } = JSON.parse(
    output('depcruise', ['--config', 'scripts/dependency-rules.cjs', '--output-type', 'json', 'apps', 'libs']),
  );
  for (const { rule, from } of summary.violations) found.add(`${from} ${rule.name}`);
  const lint = JSON.parse(
    output('eslint', [
      '--config',
      'scripts/eslint.config.mjs',
      '--format',
      'json',
      ...files.filter((file) => file.startsWith(`libs/http`)),
    ]),
  );
  for (const { filePath, messages } of lint)
    for (const { ruleId } of messages) found.add(`${filePath.slice(root.length + 1)} ${ruleId}`);
  for (const [, file, code] of output('tsc', ['-p', 'tsconfig.json', '--pretty', 'false']).matchAll(
    /^(.+?)\(\d+,\d+\): error (TS\d+)/gm,
  ))
    found.add(`${file} ${code}`);
  return found;
}

clear();
try {
  for (const [file, text] of FAULTS) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), `${text}\nexport {};\n`);
  }
  const found = findings();
  const missed = FAULTS.filter(([file, , rule]) => !found.has(`${file} ${rule}`));
  for (const [file, , rule] of missed) console.error(`not caught: ${rule} in ${file}`);
  if (missed.length > 0) process.exitCode = 1;
  else console.log(`${FAULTS.length} planted faults, all caught`);
} finally {
  clear();
}
