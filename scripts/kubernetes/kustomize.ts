import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);

export type Fields = Readonly<Record<string, unknown>>;

/** An object as it is applied. */
export interface Rendered extends Fields {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
}

/** `dist` has this a folder deeper than the sources, and only these have the manifests. */
export const MANIFESTS = resolve(__dirname.replace(/[\\/]dist([\\/]scripts[\\/]kubernetes)$/, '$1'));

/** Does not hold up this process, in which a proxy or relay may run that the cluster needs meanwhile. */
export async function kubectl(args: readonly string[], input?: string): Promise<string> {
  const running = run('kubectl', args, { maxBuffer: 2 ** 26 });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

/** What `kubectl apply --kustomize` would apply of a folder of manifests, such as `base`. */
export function render(folder: string): readonly Rendered[] {
  return build(join(MANIFESTS, folder));
}

/** The same as somebody's own overlay has it: in another namespace, its cluster-wide objects under other names. */
export function renderAs(
  folder: string,
  own: { readonly namespace: string; readonly components?: readonly string[]; readonly more?: Fields },
): readonly Rendered[] {
  const overlay = mkdtempSync(join(tmpdir(), 'devpocket-overlay-'));
  const to = (path: string): string => relative(overlay, join(MANIFESTS, path));
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: own.namespace,
    nameSuffix: `-${own.namespace}`,
    resources: [to(folder)],
    components: (own.components ?? []).map((name) => to(`components/${name}`)),
    ...own.more,
  };
  try {
    writeFileSync(join(overlay, 'kustomization.yaml'), JSON.stringify(kustomization));
    return build(overlay);
  } finally {
    rmSync(overlay, { recursive: true });
  }
}

const OLDER: Readonly<Record<string, string>> = { 'policy/v1': 'policy/v1beta1', 'autoscaling/v2': 'autoscaling/v2beta2' };

/** The same objects, those of versions that the cluster of KUBECONFIG does not serve yet as their older twins. */
export async function asServed(objects: readonly Rendered[]): Promise<readonly Rendered[]> {
  const served = new Set((await kubectl(['api-versions'])).trim().split('\n'));
  return objects.map((object) => {
    const apiVersion = OLDER[object.apiVersion];
    if (apiVersion === undefined || served.has(object.apiVersion)) return object;
    const { unhealthyPodEvictionPolicy: _later, ...spec } = object.spec as Fields;
    return { ...object, apiVersion, spec };
  });
}

/** Needs KUBECONFIG. @returns a line for each object */
export async function apply(objects: readonly Fields[]): Promise<readonly string[]> {
  return (await kubectl(['apply', '--validate=strict', '--filename=-'], listOf(objects))).trim().split('\n');
}

/** Returns when they are gone; what is not there is gone already. */
export async function remove(objects: readonly Fields[]): Promise<void> {
  await kubectl(['delete', '--ignore-not-found', '--wait', '--timeout=90s', '--filename=-'], listOf(objects));
}

export function namespaceObject(name: string): Rendered {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

function build(folder: string): readonly Rendered[] {
  const text = execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  return parseAllDocuments(text).map((document) => document.toJS() as Rendered);
}

function listOf(items: readonly Fields[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}
