import { apply, remove, render, type Rendered } from './kustomize';
import { kubeConfigOf } from './server-account';

const NAMESPACE = 'default';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** An account of the real cluster that has some of the rights that the manifests give a server. */
export class LimitedAccount {
  private objects: readonly Rendered[] = [];

  private constructor(private readonly name: string) {}

  /** @param lacking as `verb resource`, such as `get pods/exec` */
  static async open(name: string, lacking: readonly string[]): Promise<LimitedAccount> {
    const account = new LimitedAccount(name);
    await account.grant(lacking);
    return account;
  }

  kubeConfig(): Promise<string> {
    return kubeConfigOf(NAMESPACE, this.name);
  }

  /** All of them from now on, but for these. */
  async grant(lacking: readonly string[] = []): Promise<void> {
    const { name } = this;
    const given = render('rights').find(({ kind }) => kind === 'ClusterRole')?.rules as readonly Rule[];
    const rules = given.flatMap(({ apiGroups, resources, verbs }) =>
      resources.map((resource) => ({
        apiGroups,
        resources: [resource],
        verbs: verbs.filter((verb) => !lacking.includes(`${verb} ${resource}`)),
      })),
    );
    const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name } };
    this.objects = [
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: NAMESPACE } },
      { ...rbac, kind: 'ClusterRole', rules: rules.filter(({ verbs }) => verbs.length > 0) },
      {
        ...rbac,
        kind: 'ClusterRoleBinding',
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
        subjects: [{ kind: 'ServiceAccount', name, namespace: NAMESPACE }],
      },
    ];
    await apply(this.objects);
  }

  async remove(): Promise<void> {
    await remove(this.objects);
  }
}
