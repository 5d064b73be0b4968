import { checkKubeConfig } from './kubeconfig';

const config = (change: { cluster?: object; user?: object; more?: object } = {}): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    clusters: [
      { name: 'c', cluster: { server: 'https://10.0.0.1:6443', 'certificate-authority-data': 'Q0E=', ...change.cluster } },
    ],
    users: [{ name: 'u', user: { token: 'hunter2', ...change.user } }],
    ...change.more,
  });
const check = (text: string, allowInsecure = false): unknown => checkKubeConfig(text, { allowInsecure });

describe('a kubeconfig', () => {
  it('is taken with a token, or with a certificate and its key, as JSON or YAML', () => {
    expect(check(config())).toEqual({ endpoint: 'https://10.0.0.1:6443' });
    const certificate = { token: undefined, 'client-certificate-data': 'QQ==', 'client-key-data': 'QQ==' };
    expect(check(config({ user: certificate }))).toEqual({ endpoint: 'https://10.0.0.1:6443' });
    const yaml = [
      'apiVersion: v1',
      'kind: Config',
      'current-context: b',
      'contexts: [{name: a, context: {cluster: x, user: u}}, {name: b, context: {cluster: y, user: u}}]',
      'clusters: [{name: x, cluster: {server: "https://x"}}, {name: y, cluster: {server: "https://y/k8s"}}]',
      'users: [{name: u, user: {token: t}}]',
    ].join('\n');
    expect(check(yaml)).toEqual({ endpoint: 'https://y/k8s' });
  });

  it.each<[string, string, RegExp]>([
    ['no YAML', '{hunter2: [', /neither YAML nor JSON/],
    ['a list', '[]', /not an object/],
    ['another kind', '{"kind":"Secret"}', /another kind/],
    ['no lists', '{}', /no list of clusters/],
    ['nameless entries', config({ more: { users: [{ user: {} }] } }), /entry of users has no name/],
    ['no current context', config({ more: { 'current-context': 'there' } }), /no current-context/],
    ['a cluster that is not there', config({ more: { clusters: [] } }), /names a cluster/],
    ['a user that is not there', config({ more: { users: [] } }), /names a user/],
    ['no credentials', config({ user: { token: '' } }), /neither a token nor/],
    [
      'a certificate without its key',
      config({ user: { token: null, 'client-certificate-data': 'QQ==' } }),
      /neither a token nor/,
    ],
    ['an exec plugin', config({ user: { exec: { command: 'aws' } } }), /"u" has exec/],
    ['an auth provider', config({ user: { 'auth-provider': { name: 'gcp' } } }), /"u" has auth-provider/],
    ['the path of a key', config({ user: { 'client-key': '/root/hunter2' } }), /"u" has client-key, a path/],
    ['the path of a certificate', config({ user: { 'client-certificate': '/x' } }), /client-certificate, a path/],
    ['the path of a token', config({ user: { tokenFile: '/x' } }), /tokenFile, a path/],
    ['the path of an authority', config({ cluster: { 'certificate-authority': '/x' } }), /certificate-authority, a path/],
    [
      'a plugin of another user',
      config({
        more: {
          users: [
            { name: 'u', user: { token: 't' } },
            { name: 'v', user: { exec: {} } },
          ],
        },
      }),
      /"v" has exec/,
    ],
    ['no check of the certificate', config({ cluster: { 'insecure-skip-tls-verify': true } }), /insecure-skip-tls-verify/],
    ['no TLS', config({ cluster: { server: 'http://10.0.0.1' } }), /must begin with https/],
    ['no server', config({ cluster: { server: 'there' } }), /no server address/],
    ['credentials in the address', config({ cluster: { server: 'https://a:hunter2@b' } }), /must not hold credentials/],
    ['aliases without end', 'a: &a [x]\nb: [*a, *a]', /neither YAML nor JSON/],
    ['too much', ' '.repeat(1_048_577), /too large/],
  ])('is refused for %s, without a word of its secrets', (_what, text, sentence) => {
    let told = '';
    try {
      check(text);
    } catch (error) {
      expect(error).toMatchObject({ name: 'RuntimeError', kind: 'invalid' });
      told = (error as Error).message;
    }
    expect(told).toMatch(sentence);
    expect(told).not.toContain('hunter2');
  });

  it('may skip the check of the certificate where that is allowed, and still neither run programs nor read files', () => {
    expect(check(config({ cluster: { 'insecure-skip-tls-verify': true } }), true)).toEqual({ endpoint: 'https://10.0.0.1:6443' });
    expect(() => check(config({ user: { exec: {} } }), true)).toThrow(/exec/);
  });
});
