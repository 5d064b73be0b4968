/**
 * Fails when a documented success or message was never seen by a suite that was recorded:
 *
 *   DEVPOCKET_RECORD_ANSWERS=record.txt npx jest && node dist/apps/api/testing/judge-answers.js record.txt
 */
import { readFileSync } from 'node:fs';
import { CHANNELS } from '../src/documents/async-api';
import { isObject, type Json } from '../src/documents/json-schema';

/** What the suite need not see, and why. One that it does see is as much a fault: the table says what is untested. */
const UNSEEN: Readonly<Record<string, string>> = {
  'linkGoogle 200': 'libs/auth/src/google-accounts.spec.ts, on the part of the server that signs in',
  'message events server environment.idle_warning': 'libs/environments/src/warnings.spec.ts, by the clock',
  'message events server resource.warning': 'libs/environments/src/warnings.spec.ts, by the clock',
  'removeOrphan 204': 'orphans are made by hand in libs/environments/src/orphans.spec.ts',
};

/** Every documented success and message that nothing in the record has shown. */
function expected(): readonly string[] {
  const { paths } = JSON.parse(readFileSync('apps/api/openapi.json', 'utf8')) as { paths: Json };
  const answers = Object.values(paths)
    .flatMap((item) => Object.values(item as Json))
    .filter(isObject)
    .flatMap(({ operationId, responses }) =>
      Object.keys(responses as Json)
        .filter((status) => Number(status) < 400)
        .map((status) => `${String(operationId)} ${status}`),
    );
  const messages = Object.entries(CHANNELS)
    .filter(([, { protocol }]) => protocol === 'ws')
    .flatMap(([name, { fromClient, fromServer, raw }]) => [
      ...Object.keys(fromClient).map((type) => `message ${name} client ${type}`),
      ...Object.keys(fromServer).map((type) => `message ${name} server ${type}`),
      ...Object.entries(raw).map(([type, { from }]) => `message ${name} ${from} ${type}`),
    ]);
  return [...answers, ...messages];
}

const file = process.argv[2];
if (file === undefined) throw new Error('usage: judge-answers.js FILE');
const seen = new Set(readFileSync(file, 'utf8').split('\n'));
const wanted = expected();
const unseen = wanted.filter((entry) => !seen.has(entry) && !(entry in UNSEEN));
const needless = Object.keys(UNSEEN).filter((entry) => seen.has(entry) || !wanted.includes(entry));
for (const entry of unseen) console.error(`documented, and never seen by the suite: ${entry}`);
for (const entry of needless) console.error(`excused, and yet seen, or not documented at all: ${entry}`);
console.log(`${wanted.filter((entry) => seen.has(entry)).length} of ${wanted.length} documented answers and messages were seen`);
if (unseen.length + needless.length > 0) process.exitCode = 1;
