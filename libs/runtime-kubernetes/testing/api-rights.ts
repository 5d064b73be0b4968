import { NEEDED_RIGHTS } from '../src/rights';
import { type ApiCall } from './api-proxy';

const VERBS: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch' };

/** One right as words, e.g. `pods/log get`, `networking.k8s.io/networkpolicies patch`. */
export function rightOf(group: string, resource: string, verb: string): string {
  return `${group === '' ? '' : `${group}/`}${resource} ${verb}`;
}

/** Those that the driver itself says it needs. */
export function neededRights(): readonly string[] {
  return NEEDED_RIGHTS.flatMap(({ group, resource, verbs }) => verbs.map((verb) => rightOf(group, resource, verb)));
}

/** Everybody may ask what they may (`system:basic-user`). */
const ABOUT_ONESELF = 'selfsubject';

/**
 * The rights that a call needs ("Determine the request verb", Kubernetes documentation), and the namespace that it is about.
 * An apply that makes its object needs the right to create as well. What everybody may, such as `/version`, needs none.
 */
export function rightsOf(
  { method, url }: ApiCall,
  status: number,
): { readonly namespace: string | null; readonly rights: readonly string[] } {
  const { pathname, searchParams } = new URL(url, 'https://api');
  const [, group = '', path = ''] = /^\/(?:api|apis\/([^/]+))\/[^/]+\/(.+)$/.exec(pathname) ?? [];
  const words = path.split('/');
  const isInside = words[0] === 'namespaces' && words.length > 2;
  const [resource = '', name, sub] = isInside ? words.slice(2) : words;
  if (resource === '' || resource.startsWith(ABOUT_ONESELF)) return { namespace: null, rights: [] };
  const one = name !== undefined;
  const read = one ? 'get' : searchParams.get('watch') === 'true' ? 'watch' : 'list';
  const verb = method === 'GET' ? read : method === 'DELETE' ? (one ? 'delete' : 'deletecollection') : (VERBS[method] ?? method);
  const verbs = method === 'PATCH' && status === 201 ? ['patch', 'create'] : [verb];
  const whole = sub === undefined ? resource : `${resource}/${sub}`;
  return {
    namespace: isInside ? (words[1] ?? null) : null,
    rights: verbs.map((each) => rightOf(group, whole, each)),
  };
}
