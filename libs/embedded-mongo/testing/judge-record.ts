/**
 * Fails when a suite recorded with `recordFile` was refused something, or something accepted was never asked for:
 *
 *   DEVPOCKET_RECORD_COMMANDS=record.txt npx jest && node dist/libs/embedded-mongo/testing/judge-record.js record.txt
 */
import { readFileSync } from 'node:fs';
import { judge } from './index';

const file = process.argv[2];
if (file === undefined) throw new Error('usage: judge-record.js FILE');
const { refused, unused } = judge(readFileSync(file, 'utf8').split('\n'));
for (const entry of refused) console.error(entry);
for (const entry of unused) console.error(`accepted, but never asked for: ${entry}`);
if (refused.length + unused.length > 0) process.exitCode = 1;
