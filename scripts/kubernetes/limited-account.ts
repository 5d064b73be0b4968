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
  readonly kubeConfig: string;
  private objects: readonly Rendered[] = [];

  /** @param lacking as `verb resource`, such as `get pods/exec` */
  constructor(
    private readonly name: string,
    lacking: readonly string[],
  ) {
    this.grant(lacking);
    this.kubeConfig = kubeConfigOf(NAMESPACE, name);
  }

  /** All of them from now on, but for these. */
  grant(lacking: readonly string[] = []): void {
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
    apply(this.objects);
  }

  remove(): void {
    remove(this.objects);
  }
}
