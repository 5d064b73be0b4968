/** Conventional Commits (https://www.conventionalcommits.org), by which the next version and the changelog are made. */
module.exports = {
  extends: ['@commitlint/config-conventional'],
  rules: {
    // What a change does, said in one line, is worth more than 100 columns.
    'header-max-length': [2, 'always', 140],
    // A subject may begin with a name as it is written: API, HTTP.
    'subject-case': [0],
    // Bodies quote figures and commands as they are.
    'body-max-line-length': [0],
    // `bench`: measurements; they release nothing.
    'type-enum': [
      2,
      'always',
      ['bench', 'build', 'chore', 'ci', 'docs', 'feat', 'fix', 'perf', 'refactor', 'revert', 'style', 'test'],
    ],
  },
};
