// `npm start`: builds what is not built, then becomes the server, so that signals reach it as they come.
const { join } = require('node:path');
const { build } = require('./build-if-needed.js');

build();
require(join(__dirname, '../dist/apps/api/src/main.js'));
