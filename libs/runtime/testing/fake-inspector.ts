import { parse } from 'yaml';
import { type ClusterConnection, ClusterInspector, type ClusterReading, RuntimeError } from '../src';

type Member = Readonly<Record<string, unknown>>;

const PLUGINS = ['exec', 'auth-provider'];
const FILES = ['client-certificate', 'client-key', 'tokenFile', 'certificate-authority'];

const GIB = 2 ** 30;

/** Judges kubeconfigs as the real one does, and measures what it is told to. */
export class FakeClusterInspector extends ClusterInspector {
  /** By the cluster's name; an error is thrown. */
  readonly readings = new Map<string, Partial<ClusterReading> | Error>();
  /** The connections that were measured, in their order. */
  readonly measured: ClusterConnection[] = [];

  checkKubeConfig(text: string, { allowInsecure }: { readonly allowInsecure: boolean }): { readonly endpoint: string } {
    const config = record(parsed(text));
    const context = record(named(config.contexts, config['current-context']).context);
    const cluster = record(named(config.clusters, context.cluster).cluster);
    const user = record(named(config.users, context.user).user);
    for (const name of PLUGINS) if (name in user) refuse(`uses ${name}, which runs programs of this machine`);
    for (const name of FILES) if (name in user || name in cluster) refuse(`names a file of this machine (${name})`);
    if (cluster['insecure-skip-tls-verify'] === true && !allowInsecure) refuse('leaves the certificate unchecked');
    const { server } = cluster;
    return typeof server === 'string' && server !== '' ? { endpoint: server } : refuse('names no server');
  }

  measure(connection: ClusterConnection): Promise<ClusterReading> {
    this.measured.push(connection);
    const reading = this.readings.get(connection.name) ?? {};
    if (reading instanceof Error) return Promise.reject(reading);
    return Promise.resolve({
      responseTimeMs: 5,
      version: 'v1.20.0',
      nodeCount: 1,
      allocatable: { cpuMillis: 4_000, memoryBytes: 8 * GIB },
      requested: { cpuMillis: 500, memoryBytes: GIB },
      ...reading,
    });
  }
}

function parsed(text: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch {
    return refuse('is neither YAML nor JSON');
  }
}

function record(value: unknown): Member {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Member) : refuse('is no kubeconfig');
}

function named(list: unknown, name: unknown): Member {
  const found = Array.isArray(list) && name !== '' ? list.map(record).find((one) => one.name === name) : undefined;
  return found ?? refuse('has no usable current context');
}

function refuse(why: string): never {
  throw new RuntimeError('invalid', why);
}
