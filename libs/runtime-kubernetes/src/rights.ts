/** A rule of RBAC, as the API tells it of an account (`SelfSubjectRulesReview`). */
export interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
}

const core = (resource: string, ...verbs: string[]): Right => ({ group: '', resource, verbs });

/**
 * What the driver does in all namespaces, which is what `scripts/kubernetes/rights` gives; a spec there keeps them the same. Not among them what it does without where it is refused: the kubelet's summary and
 * metrics.k8s.io, by which usage is read.
 */
export const NEEDED_RIGHTS: readonly Right[] = [
  core('namespaces', 'list', 'create', 'patch', 'delete'),
  core('pods', 'get', 'list', 'watch', 'create', 'patch', 'delete', 'deletecollection'),
  core('pods/log', 'get'),
  // An API server before 1.35 wants the first, a later one the second too.
  core('pods/exec', 'get', 'create'),
  core('persistentvolumeclaims', 'list', 'watch', 'create', 'patch', 'delete'),
  core('secrets', 'list', 'create', 'patch', 'deletecollection'),
  core('services', 'list', 'create', 'patch', 'delete'),
  core('serviceaccounts', 'create', 'patch'),
  core('resourcequotas', 'create', 'patch'),
  core('limitranges', 'create', 'patch'),
  { group: 'networking.k8s.io', resource: 'networkpolicies', verbs: ['create', 'patch'] },
  core('events', 'list', 'watch'),
  core('nodes', 'list'),
];

/** Rights that no rule gives, as words: `create, patch pods`. */
export function missingRights(rules: readonly Rule[], needed = NEEDED_RIGHTS): readonly string[] {
  const names = (listed: readonly string[] | undefined, one: string): boolean =>
    listed?.some((each) => each === one || each === '*') === true;
  return needed.flatMap(({ group, resource, verbs }) => {
    const about = rules.filter(
      (rule) => names(rule.apiGroups, group) && names(rule.resources, resource) && (rule.resourceNames ?? []).length === 0,
    );
    const missing = verbs.filter((verb) => !about.some((rule) => names(rule.verbs, verb)));
    return missing.length === 0 ? [] : [`${missing.join(', ')} ${resource}`];
  });
}
