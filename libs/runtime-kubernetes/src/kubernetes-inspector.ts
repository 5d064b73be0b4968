import { type ClusterConnection, ClusterInspector, type ClusterReading, RuntimeError } from '@devpocket/runtime';
import { ApiClient } from './api-client';
import { ApiError, toRuntimeError } from './api-error';
import { readCredentials } from './credentials';
import { checkKubeConfig } from './kubeconfig';
import { type KubeNode, type Pod } from './kube-objects';
import { bytesOf, millisOf } from './quantity';
import { missingRights, type Rule } from './rights';

const RULES_PATH = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
const NO_NAMESPACE = 'devpocket-no-namespace';
const EVERYTHING: readonly Rule[] = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }];

interface RulesReview {
  readonly status: { readonly incomplete?: boolean; readonly resourceRules: readonly Rule[] };
}

/** Judges kubeconfigs, and measures clusters by a few calls over a connection of its own. */
export class KubernetesInspector extends ClusterInspector {
  checkKubeConfig(kubeConfig: string, options: { readonly allowInsecure: boolean }): { readonly endpoint: string } {
    return checkKubeConfig(kubeConfig, options);
  }

  async measure(connection: ClusterConnection, signal: AbortSignal): Promise<ClusterReading> {
    const api = new ApiClient(await readCredentials(connection));
    try {
      const version = await api.get<{ readonly gitVersion: string }>('/version', { signal });
      const missing = missingRights(await rulesOf(api, signal));
      if (missing.length > 0) throw new RuntimeError('refused', `The account lacks rights: ${missing.join('; ')}`);
      // Not the first call, which also opens the connection.
      const began = performance.now();
      const nodes = await api.list<KubeNode>('/api/v1/nodes', { signal });
      const responseTimeMs = Math.round((performance.now() - began) * 10) / 10;
      const query = { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' };
      const pods = await api.list<Pod>('/api/v1/pods', { query, signal });
      return { responseTimeMs, version: version.gitVersion, ...countOf(nodes.items, pods.items) };
    } catch (error) {
      throw judge(error);
    } finally {
      api.close();
    }
  }
}

/** What the account may do in all namespaces: asked of one that nothing is granted for alone. */
async function rulesOf(api: ApiClient, signal: AbortSignal): Promise<readonly Rule[]> {
  const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectRulesReview', spec: { namespace: NO_NAMESPACE } };
  const { status } = await api.create<RulesReview>(RULES_PATH, review, { signal });
  // Some authorizers cannot list: then whatever is refused is told of when it is.
  return status.incomplete ? EVERYTHING : status.resourceRules;
}

/** What nodes that take pods have, and what is asked for on them. */
export function countOf(
  nodes: readonly KubeNode[],
  pods: readonly Pod[],
): Pick<ClusterReading, 'nodeCount' | 'allocatable' | 'requested'> {
  const usable = nodes.filter(
    ({ spec, status }) =>
      spec?.unschedulable !== true && status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
  );
  const names = new Set(usable.map(({ metadata }) => metadata?.name));
  const requests = pods
    .filter(({ spec }) => names.has(spec?.nodeName))
    .flatMap(({ spec }) => spec?.containers ?? [])
    .map(({ resources }) => resources?.requests ?? {});
  const sum = (all: readonly Readonly<Record<string, string>>[]): { cpuMillis: number; memoryBytes: number } => ({
    cpuMillis: all.reduce((total, { cpu }) => total + millisOf(cpu), 0),
    memoryBytes: all.reduce((total, { memory }) => total + bytesOf(memory), 0),
  });
  return {
    nodeCount: usable.length,
    allocatable: sum(usable.map(({ status }) => status?.allocatable ?? {})),
    requested: sum(requests),
  };
}

/** To who registers a cluster, credentials that are not taken are an answer. */
function judge(error: unknown): RuntimeError {
  if (error instanceof ApiError && (error.status === 401 || error.status === 403))
    return new RuntimeError('refused', error.status === 401 ? 'The cluster does not know these credentials' : error.message);
  const told = toRuntimeError(error);
  return told.kind === 'invalid' || told.kind === 'gone' ? new RuntimeError('unreachable', told.message) : told;
}
