import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';

export type Fields = Readonly<Record<string, unknown>>;

/** An object as it is applied. */
export interface Rendered extends Fields {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
}

/** `dist` has this a folder deeper than the sources, and only these have the manifests. */
export const MANIFESTS = resolve(__dirname.replace(/[\\/]dist([\\/]scripts[\\/]kubernetes)$/, '$1'));

export function kubectl(args: readonly string[], input?: string): string {
  return execFileSync('kubectl', args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    ...(input === undefined ? { stdio: ['ignore', 'pipe', 'pipe'] } : { input, stdio: ['pipe', 'pipe', 'pipe'] }),
  });
}

/** What `kubectl apply --kustomize` would apply of a folder of manifests, such as `base`. */
export function render(folder: string): readonly Rendered[] {
  return read(kubectl(['kustomize', join(MANIFESTS, folder)]));
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
    return read(kubectl(['kustomize', overlay]));
  } finally {
    rmSync(overlay, { recursive: true });
  }
}

/** Needs KUBECONFIG. @returns a line for each object */
export function apply(objects: readonly Fields[]): readonly string[] {
  return kubectl(['apply', '--validate=strict', '--filename=-'], listOf(objects)).trim().split('\n');
}

/** Returns when they are gone; what is not there is gone already. */
export function remove(objects: readonly Fields[]): void {
  kubectl(['delete', '--ignore-not-found', '--wait', '--timeout=90s', '--filename=-'], listOf(objects));
}

export function namespaceObject(name: string): Rendered {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

function read(text: string): readonly Rendered[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Rendered);
}

function listOf(items: readonly Fields[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}
