/**
 * What a push to `main` or `dev/…` releases (https://semantic-release.gitbook.io). Nothing goes to a package registry: a release is a
 * tag, the changelog, and an image. `IMAGE` is the image's name without a tag; without it none is made.
 */
const published = process.env.GITHUB_ACTIONS === 'true';

/** The preset's own pattern knows no `!`. */
const parserOpts = {
  headerPattern: /^(\w*)(?:\((.*)\))?!?: (.*)$/,
  breakingHeaderPattern: /^(\w*)(?:\((.*)\))?!: (.*)$/,
};

module.exports = {
  branches: [
    'main',
    // `dev/terminal` gives 1.3.0-dev-terminal.1: two branches at once never give one version twice.
    { name: 'dev/*', prerelease: '${name.replace(/[^0-9A-Za-z-]+/g, "-")}' },
  ],
  tagFormat: 'v${version}',
  plugins: [
    [
      '@semantic-release/commit-analyzer',
      {
        parserOpts,
        releaseRules: [
          { type: 'perf', release: 'patch' },
          { type: 'revert', release: 'patch' },
        ],
      },
    ],
    ['@semantic-release/release-notes-generator', { parserOpts }],
    ['@semantic-release/changelog', { changelogFile: 'CHANGELOG.md', changelogTitle: '# Changelog' }],
    ['@semantic-release/npm', { npmPublish: false }],
    // Built before anything is tagged: what does not build is no release.
    [
      '@semantic-release/exec',
      {
        prepareCmd: 'sh scripts/release/image.sh build ${nextRelease.version}',
        publishCmd: 'sh scripts/release/image.sh push ${nextRelease.version} "${nextRelease.channel || \'latest\'}"',
      },
    ],
    [
      '@semantic-release/git',
      {
        assets: ['CHANGELOG.md', 'package.json', 'package-lock.json'],
        message: 'chore(release): ${nextRelease.version} [skip ci]',
      },
    ],
    ...(published ? [['@semantic-release/github', { successComment: false, failComment: false, releasedLabels: false }]] : []),
  ],
};
