/*
 * What the server costs on a real cluster, against kubectl in the same run: many environments at once, calls of the API, and
 * terminals. Prints ratios. Needs KUBECONFIG and kubectl.
 *
 *   npm run bench:kubernetes [-- --short] [-- --only create|calls|terminal]
 */
import { parseArgs } from 'node:util';
import { countCalls } from './kubernetes-calls';
import { compareCreation } from './kubernetes-create';
import { compareTerminals } from './kubernetes-terminal';

const { values } = parseArgs({ options: { short: { type: 'boolean' }, only: { type: 'string' } } });

async function main(): Promise<void> {
  const wants = (part: string): boolean => values.only === undefined || values.only === part;
  if (wants('terminal')) await (values.short ? compareTerminals(16, 100, 1) : compareTerminals(64, 300, 3));
  if (wants('calls')) await (values.short ? countCalls(3, 0, 10_000) : countCalls(4, 75_000, 120_000));
  if (wants('create')) await (values.short ? compareCreation(10, 1) : compareCreation(50, 3));
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
