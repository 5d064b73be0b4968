#!/usr/bin/env node
// `npx devpocket`: builds what is not built, then becomes the command line.
const { enableCompileCache } = require('node:module');
const { join } = require('node:path');
const { build } = require('./build-if-needed.js');

build();
enableCompileCache?.(join(__dirname, '../node_modules/.cache/compile'));
require(join(__dirname, '../dist/apps/cli/src/main.js'));
