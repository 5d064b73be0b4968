import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { missingRights, NEEDED_RIGHTS, type Rule } from './rights';

const MANIFEST = join(__dirname, '../../../scripts/kubernetes/rights/environments.yaml');

describe('rights that are missing', () => {
  const all: readonly Rule[] = NEEDED_RIGHTS.map(({ group, resource, verbs }) => ({
    apiGroups: [group],
    resources: [resource],
    verbs,
  }));

  it('are none where each is given, in whatever rules, or by an asterisk', () => {
    expect(missingRights(all)).toEqual([]);
    expect(missingRights([{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }])).toEqual([]);
  });

  it('are named by verb and resource', () => {
    const less = all
      .filter(({ resources }) => !resources?.includes('events'))
      .map((rule) => (rule.resources?.includes('pods') ? { ...rule, verbs: ['get', 'list', 'watch', 'delete'] } : rule));
    expect(missingRights(less)).toEqual(['create, patch, deletecollection pods', 'list, watch events']);
  });

  it('are not given for another group, nor for some objects alone', () => {
    const [first] = missingRights([{ apiGroups: ['apps'], resources: ['*'], verbs: ['*'] }]);
    expect(first).toBe('list, create, patch, delete namespaces');
    const named = [{ apiGroups: [''], resources: ['nodes'], verbs: ['list'], resourceNames: ['one'] }];
    expect(missingRights(named)).toContain('list nodes');
  });

  it('are none of an account that the manifests make, and they give no others but for usage', () => {
    const rules = parseAllDocuments(readFileSync(MANIFEST, 'utf8')).flatMap(
      (document) => (document.toJS() as { readonly rules?: readonly Rule[] }).rules ?? [],
    );
    const words = (given: readonly Rule[]): string[] =>
      given
        .flatMap(({ apiGroups = [], resources = [], verbs }) =>
          apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${group} ${resource} ${verb}`))),
        )
        .sort();
    expect(words(rules).filter((right) => right !== 'metrics.k8s.io pods list')).toEqual(words(all));
  });
});
