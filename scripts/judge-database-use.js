// Judges what a suite asked of the embedded database (DEVPOCKET_RECORD_COMMANDS names the file): nothing may have been refused,
// and nothing that is accepted may go unused.
const { readFileSync } = require('node:fs');
const { judge } = require('../dist/libs/embedded-mongo/testing/index.js');

const { refused, unused } = judge(readFileSync(process.argv[2], 'utf8').split('\n'));
for (const entry of refused) console.error(`asked for and refused: ${entry}`);
for (const entry of unused) console.error(`accepted and never asked for: ${entry}`);
if (refused.length + unused.length > 0) process.exitCode = 1;
else console.log('the suite asks for what the embedded database accepts, and for nothing else');
