// Which library may open which door: plans of architecture as a list that a machine checks.
// A new library must be added to `doors`; an import that is not listed fails `npm run check`.

const feature = ['kernel', 'config', 'database', 'access', 'http'];
const doors = {
  kernel: [],
  config: ['kernel'],
  access: ['kernel'],
  runtime: ['kernel'],
  'embedded-mongo': [],
  database: ['kernel', 'config', 'embedded-mongo'],
  'shared-state': ['kernel', 'config'],
  websocket: ['kernel'],
  http: ['kernel', 'config', 'access', 'database', 'shared-state'],
  'runtime-local': ['kernel', 'config', 'runtime'],
  'pty-holder': ['kernel', 'runtime'],
  'container-runtime': ['kernel', 'runtime'],
  'runtime-kubernetes': ['kernel', 'config', 'runtime', 'pty-holder', 'container-runtime'],
  'runtime-docker': ['kernel', 'config', 'runtime', 'pty-holder', 'container-runtime'],
  users: feature,
  templates: [...feature, 'audit'],
  audit: feature,
  mail: feature,
  clusters: [...feature, 'runtime', 'audit'],
  auth: [...feature, 'users', 'mail', 'audit', 'shared-state'],
  environments: [...feature, 'runtime', 'users', 'templates', 'clusters', 'audit', 'shared-state'],
  'terminal-session': ['kernel', 'runtime', 'websocket'],
  terminal: ['kernel', 'config', 'access', 'http', 'runtime', 'environments', 'shared-state', 'websocket', 'terminal-session'],
  client: [],
};

const spec = '\\.(int-|kube-|docker-|served-)?spec\\.ts$';
const anyOf = (names) => `(${names.join('|')})`;

const doorRules = Object.entries(doors).map(([library, allowed]) => ({
  name: `doors-of-${library}`,
  comment: `libs/${library} may open: ${allowed.join(', ') || 'nothing'}`,
  severity: 'error',
  from: { path: `^libs/${library}/`, pathNot: spec },
  to: { path: '^(libs|apps)/', pathNot: `^libs/${anyOf([library, ...allowed])}/` },
}));

/** A file's last word is its room: what it may not know. */
const room = (name, from, to) => ({
  name: `room-${name}`,
  severity: 'error',
  from: { path: from, pathNot: spec },
  to: { path: to },
});

module.exports = {
  forbidden: [
    ...doorRules,
    {
      name: 'listed-libraries',
      comment: 'A new library must be added to the list of doors.',
      severity: 'error',
      from: { path: '^libs/', pathNot: `^libs/${anyOf(Object.keys(doors))}/` },
      to: {},
    },
    {
      name: 'through-the-door',
      comment: 'Another library is entered by src/index.ts, its fakes by testing/index.ts.',
      severity: 'error',
      from: { path: '^(apps|libs)/([^/]+)/' },
      to: { path: '^libs/', pathNot: ['^libs/[^/]+/(src|testing)/index\\.ts$', '^$1/$2/'] },
    },
    {
      name: 'no-fakes-in-the-product',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: [spec, '/testing/'] },
      to: { path: '^libs/[^/]+/testing/' },
    },
    {
      name: 'no-app-from-an-app',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: spec },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'drivers-are-named-once',
      comment:
        'Only the list of drivers knows which drivers there are, the program that holds local shells whose it is, and the command line who judges clusters and this machine.',
      severity: 'error',
      from: {
        path: '^apps/',
        pathNot: [
          '^apps/api/src/runtime-drivers\\.ts$',
          '^apps/pty-host/src/main\\.ts$',
          '^apps/cli/src/(cluster-inspector|local-machine|container-engine)\\.ts$',
          '/testing/',
          spec,
        ],
      },
      to: { path: '^libs/runtime-[^/]+/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    room('controller', '\\.(controller|gateway|command)\\.ts$', '\\.(repository|schema|driver)\\.ts$'),
    room(
      'service',
      '\\.service\\.ts$',
      '(\\.(dto|schema|controller|gateway)\\.ts$|/@nestjs/(mongoose|swagger|platform-)|node_modules/(mongoose|express)/)',
    ),
    room(
      'pure',
      '\\.(machine|policy|protocol|errors|events)\\.ts$',
      '(node_modules/(@nestjs|mongoose|express|ws)/|^(node:)?(fs|net|http|child_process|worker_threads)$)',
    ),
    room('reconciler', '\\.reconciler\\.ts$', '\\.(dto|schema)\\.ts$'),
    room('repository', '\\.repository\\.ts$', '\\.(dto|controller|service|gateway)\\.ts$'),
    room(
      'driver',
      '\\.driver\\.ts$',
      '(\\.(repository|schema|dto|service|controller)\\.ts$|^libs/config/|node_modules/@nestjs/config/)',
    ),
    {
      name: 'kernel-is-plain',
      severity: 'error',
      from: { path: '^libs/kernel/src/', pathNot: spec },
      to: { path: 'node_modules' },
    },
    {
      name: 'embedded-mongo-is-plain',
      comment: 'The embedded database knows neither Nest nor Mongoose.',
      severity: 'error',
      from: { path: '^libs/embedded-mongo/src/', pathNot: spec },
      to: { path: 'node_modules/(@nestjs|mongoose|mongodb)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
