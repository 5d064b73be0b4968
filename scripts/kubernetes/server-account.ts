import { type ApiProxy, openProxy, rightOf, rightsOf } from '@testing/runtime-kubernetes';
import { apply, type Fields, kubectl, namespaceObject, remove, renderAs, type Rendered } from './kustomize';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Of rights in the server's own namespace, where it has no such right elsewhere. */
const OWN = 'in its own namespace: ';
/** Whoever is signed in has it, by the cluster's own role `system:basic-user`. */
const EVERYBODYS = 'authorization.k8s.io/selfsubjectrulesreviews create';

/** An account with the rights that the manifests give a server, and a proxy before the API that notes which of them are used. */
export class ServerAccount {
  /** Rights that some call needed. */
  readonly used = new Set<string>();

  private constructor(
    private readonly objects: readonly Rendered[],
    private readonly proxy: ApiProxy,
    readonly namespace: string,
  ) {
    proxy.onAnswer = (call, status) => {
      const { namespace: where, rights } = rightsOf(call, status);
      for (const right of rights) if (right !== EVERYBODYS) this.used.add(where === namespace ? OWN + right : right);
    };
  }

  /** @param components parts of `components` whose rights it has too */
  static async open(namespace: string, components: readonly string[] = []): Promise<ServerAccount> {
    const objects = [namespaceObject(namespace), ...renderAs('rights', { namespace, components })];
    await apply(objects);
    try {
      const proxy = await openProxy(await kubeConfigOf(namespace, `devpocket-${namespace}`));
      return new ServerAccount(objects, proxy, namespace);
    } catch (error) {
      await remove(objects);
      throw error;
    }
  }

  /** What a driver takes to be this account. */
  get kubeConfig(): string {
    return this.proxy.kubeConfig;
  }

  get granted(): ReadonlySet<string> {
    return new Set(
      this.objects
        .filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role')
        .flatMap(({ kind, rules }) =>
          (rules as readonly Rule[]).flatMap(rightsIn).map((right) => (kind === 'Role' ? OWN : '') + right),
        ),
    );
  }

  async close(): Promise<void> {
    await this.proxy.stop();
    await remove(this.objects);
  }
}

function rightsIn(rule: Rule): readonly string[] {
  const { apiGroups, resources, verbs, ...narrower } = rule;
  if (Object.keys(narrower).length > 0) throw new Error(`Rules with ${Object.keys(narrower).join()} are not compared`);
  return apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => rightOf(group, resource, verb))));
}

/** Where the administrator's KUBECONFIG leads, as that account. */
export async function kubeConfigOf(namespace: string, account: string): Promise<string> {
  const config = JSON.parse(await kubectl(['config', 'view', '--raw', '--minify', '--output=json'])) as {
    readonly clusters: readonly Fields[];
  };
  const token = (await kubectl(['create', 'token', account, '--namespace', namespace, '--duration=24h'])).trim();
  const [cluster] = config.clusters;
  return JSON.stringify({
    'current-context': 'server',
    contexts: [{ name: 'server', context: { cluster: cluster?.name, user: 'server', namespace } }],
    clusters: [cluster],
    users: [{ name: 'server', user: { token } }],
  });
}
