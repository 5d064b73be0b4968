import { RuntimeError } from '@devpocket/runtime';
import { parse } from 'yaml';

type Fields = Readonly<Record<string, unknown>>;

/** What a path of the machine that the server runs on would be read from: no business of whoever registers a cluster. */
const CLUSTER_FILES = ['certificate-authority'];
const USER_FILES = ['client-certificate', 'client-key', 'tokenFile'];
/** Programs that would be run. */
const USER_PLUGINS = ['exec', 'auth-provider'];
const MOST_BYTES = 1_048_576;

/**
 * Judges a kubeconfig before it is stored or used. Every cluster and user in it counts, not only those of the current context.
 * Sentences name fields and entries, never what stands in them.
 * @throws RuntimeError `invalid`
 */
export function checkKubeConfig(text: string, options: { readonly allowInsecure: boolean }): { readonly endpoint: string } {
  const config = read(text);
  const clusters = named(config, 'clusters', 'cluster');
  const users = named(config, 'users', 'user');
  const contexts = named(config, 'contexts', 'context');
  for (const [name, cluster] of clusters) {
    refuseFields(
      cluster,
      CLUSTER_FILES,
      `cluster "${name}"`,
      'a path of a file; put the content in, as certificate-authority-data',
    );
    if (isSet(cluster['insecure-skip-tls-verify']) && !options.allowInsecure)
      refuse(
        `The cluster "${name}" skips the check of its certificate (insecure-skip-tls-verify), which this server does not allow`,
      );
  }
  for (const [name, user] of users) {
    refuseFields(user, USER_FILES, `user "${name}"`, 'a path of a file; put the content in, as …-data or token');
    refuseFields(user, USER_PLUGINS, `user "${name}"`, 'a program to be run; use a certificate or a token');
  }
  const current = config['current-context'];
  const context = typeof current === 'string' ? contexts.get(current) : undefined;
  if (!context) refuse('The kubeconfig has no current-context that it defines');
  const cluster = clusters.get(String(context.cluster));
  if (!cluster) refuse('The current context names a cluster that is not there');
  const user = users.get(String(context.user));
  if (!user) refuse('The current context names a user that is not there');
  if (!proves(user)) refuse('The user of the current context has neither a token nor a client certificate with its key');
  return { endpoint: endpointOf(cluster, options.allowInsecure) };
}

function read(text: string): Fields {
  if (Buffer.byteLength(text) > MOST_BYTES) refuse('The kubeconfig is too large');
  let value: unknown;
  try {
    // No aliases: a few lines of them can unfold without end.
    value = parse(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch {
    // The parser's own words quote the line.
    refuse('The kubeconfig is neither YAML nor JSON');
  }
  if (!isFields(value)) refuse('The kubeconfig is not an object');
  if (value.kind !== undefined && value.kind !== 'Config') refuse('This is an object of another kind than a kubeconfig (Config)');
  return value;
}

function named(config: Fields, list: string, field: string): ReadonlyMap<string, Fields> {
  const entries = config[list];
  if (!Array.isArray(entries)) refuse(`The kubeconfig has no list of ${list}`);
  return new Map(
    entries.map((entry: unknown) => {
      if (!isFields(entry) || typeof entry.name !== 'string') refuse(`An entry of ${list} has no name`);
      const value = entry[field] ?? {};
      if (!isFields(value)) refuse(`The entry "${entry.name}" of ${list} is not an object`);
      return [entry.name, value];
    }),
  );
}

function refuseFields(entry: Fields, fields: readonly string[], where: string, what: string): void {
  for (const field of fields) if (isSet(entry[field])) refuse(`The ${where} has ${field}, ${what}`);
}

function proves(user: Fields): boolean {
  if (isSet(user.token)) return true;
  if (isSet(user.username) && isSet(user.password)) return true;
  return isSet(user['client-certificate-data']) && isSet(user['client-key-data']);
}

function endpointOf(cluster: Fields, allowInsecure: boolean): string {
  const { server } = cluster;
  if (typeof server !== 'string' || !URL.canParse(server)) refuse('The cluster of the current context has no server address');
  const url = new URL(server);
  if (url.protocol !== 'https:' && !(allowInsecure && url.protocol === 'http:'))
    refuse('The server address of the cluster must begin with https://');
  if (url.username !== '' || url.password !== '') refuse('The server address of the cluster must not hold credentials');
  return server;
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && value !== false;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(message: string): never {
  throw new RuntimeError('invalid', message);
}
