#!/usr/bin/env node
// `npx devpocket`: builds what is not built, then becomes the command line.
const { join } = require('node:path');
const { build } = require('./build-if-needed.js');

build();
require(join(__dirname, '../dist/apps/cli/src/main.js'));
