/** Words that stand where secrets stand; no message may repeat one. */
export const KUBE_SECRETS = ['token-of-the-spec', 'S0VZLU9GLVRIRS1TUEVD', 'password-of-the-spec'] as const;

const [TOKEN, KEY, PASSWORD] = KUBE_SECRETS;
const DATA = 'Q0VSVElGSUNBVEU=';

/** A kubeconfig as YAML; `user` and `cluster` are lines of flow mapping. */
export function kubeConfig({
  user = `{ token: ${TOKEN} }`,
  cluster = '',
  server = 'https://10.0.0.1:6443',
  current = 'main',
}: { readonly user?: string; readonly cluster?: string; readonly server?: string; readonly current?: string } = {}): string {
  return [
    'apiVersion: v1',
    'kind: Config',
    `current-context: ${current}`,
    'contexts: [{ name: main, context: { cluster: one, user: somebody } }, { name: other, context: { cluster: two, user: nobody } }]',
    `clusters: [{ name: one, cluster: { server: "${server}"${cluster} } }, { name: two, cluster: { server: "https://10.0.0.2:6443" } }]`,
    `users: [{ name: somebody, user: ${user} }, { name: nobody, user: { token: ${TOKEN} } }]`,
  ].join('\n');
}

export const ACCEPTED_KUBE_CONFIGS: Readonly<Record<string, string>> = {
  'a token': kubeConfig(),
  'a client certificate': kubeConfig({ user: `{ client-certificate-data: ${DATA}, client-key-data: ${KEY} }` }),
  'a password': kubeConfig({ user: `{ username: a, password: ${PASSWORD} }` }),
  'a certificate authority': kubeConfig({ cluster: `, certificate-authority-data: ${DATA}` }),
  JSON: JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'main',
    contexts: [{ name: 'main', context: { cluster: 'one', user: 'somebody' } }],
    clusters: [{ name: 'one', cluster: { server: 'https://10.0.0.1:6443' } }],
    users: [{ name: 'somebody', user: { token: TOKEN } }],
  }),
};

export const REFUSED_KUBE_CONFIGS: Readonly<Record<string, string>> = {
  'no text': '',
  'no YAML': `a: [ ${TOKEN}`,
  'a list': `- ${TOKEN}`,
  'another document': `token: ${TOKEN}`,
  'no such context': kubeConfig({ current: 'absent' }),
  'no context': kubeConfig({ current: '""' }),
  'no server': kubeConfig({ server: '' }),
  'an exec plugin': kubeConfig({ user: `{ exec: { command: sh, args: [${TOKEN}] } }` }),
  'an auth provider': kubeConfig({ user: `{ auth-provider: { name: gcp, config: { access-token: ${TOKEN} } } }` }),
  'a file with a token': kubeConfig({ user: `{ token: ${TOKEN}, tokenFile: /etc/passwd }` }),
  'a file with a certificate': kubeConfig({ user: `{ client-certificate: /a.crt, client-key-data: ${KEY} }` }),
  'a file with a key': kubeConfig({ user: `{ client-certificate-data: ${DATA}, client-key: /a.key, password: ${PASSWORD} }` }),
  'a file with an authority': kubeConfig({ cluster: ', certificate-authority: /ca.crt' }),
  'an unchecked certificate': kubeConfig({ cluster: ', insecure-skip-tls-verify: true' }),
};
