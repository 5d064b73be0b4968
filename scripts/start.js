// `npm start`: builds what is not built, then becomes the server, so that signals reach it as they come.
const { enableCompileCache } = require('node:module');
const { join } = require('node:path');
const { build } = require('./build-if-needed.js');

build();
enableCompileCache?.(join(__dirname, '../node_modules/.cache/compile'));
require(join(__dirname, '../dist/apps/api/src/main.js'));
