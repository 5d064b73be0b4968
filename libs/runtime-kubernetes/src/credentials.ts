import { type ClusterConnection, RuntimeError } from '@devpocket/runtime';
import { type KubeConfig } from '@kubernetes/client-node';
import { checkKubeConfig } from './kubeconfig';
import { Agent, type RequestOptions } from 'node:https';

/** Where a cluster is, and what proves who we are. Secret: never logged, never part of an error. */
export interface Credentials {
  readonly server: URL;
  /** Of the current context, or of the pod that the server runs as. */
  readonly namespace: string;
  /** For plain calls: few connections, kept and used again. */
  readonly agent: Agent;
  /** For watches, logs and terminals, each of which holds a connection. */
  readonly streamAgent: Agent;
  /** Asked for each call: the token of a pod's service account is renewed on disk. */
  headers(): Promise<Readonly<Record<string, string>>>;
}

const KEEP_ALIVE = { keepAlive: true, keepAliveMsecs: 10_000 };
const CALLS_AT_ONCE = 32;

/** @throws RuntimeError `invalid` when it names no server */
export async function readCredentials(connection: ClusterConnection): Promise<Credentials> {
  // It was checked when it was stored; whatever wrote to the store since must not make this process run programs or read files.
  if (connection.kubeConfig !== null) checkKubeConfig(connection.kubeConfig, { allowInsecure: true });
  // Takes more than a second and 80 MB, which a server without clusters should not pay.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  if (connection.kubeConfig === null) config.loadFromCluster();
  else config.loadFromString(connection.kubeConfig);
  const cluster = config.getCurrentCluster();
  const address = connection.endpoint ?? cluster?.server;
  if (!cluster || !address) throw new RuntimeError('invalid', 'The kubeconfig names no server');
  const options = await optionsOf(config);
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
  const tls = { ca, cert, key, pfx, passphrase, servername, ...(rejectUnauthorized === false ? { rejectUnauthorized } : {}) };
  const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
  const proxied = 'proxyUrl' in cluster && cluster.proxyUrl !== undefined && options.agent instanceof Agent;
  return {
    server: new URL(address),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
    agent: proxied ? (options.agent as Agent) : new Agent({ ...given, ...KEEP_ALIVE, maxSockets: CALLS_AT_ONCE }),
    streamAgent: proxied ? (options.agent as Agent) : new Agent({ ...given, ...KEEP_ALIVE, maxFreeSockets: 0 }),
    // What is stored does not change; a pod's token does. Asking costs a TLS context each time.
    headers: async () => headersOf(connection.kubeConfig === null ? await optionsOf(config) : options),
  };
}

function headersOf({ headers, auth }: RequestOptions): Readonly<Record<string, string>> {
  const basic = auth ? { Authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
  return { ...basic, ...(headers as Record<string, string>) };
}

async function optionsOf(config: KubeConfig): Promise<RequestOptions> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  return options;
}
