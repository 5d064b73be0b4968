import { type ClusterConnection, type EnvironmentSpec, type Place, RuntimeError } from '@devpocket/runtime';
import { type ApiClient, pathOf } from './api-client';
import { ApiError } from './api-error';
import { type KubeObject, type Manifest } from './kube-objects';
import { namespaceManifests, pullSecret } from './namespace-manifests';
import { environmentOf, LABEL, namespaceOf } from './names';

/** Pull secrets change behind our back; so may the rest. */
const TRUST_MS = 3_600_000;
/** A namespace this young may be about to be used. */
const EMPTY_MS = 600_000;

interface SecretObject extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

interface Scope {
  readonly api: ApiClient;
  readonly connection: ClusterConnection;
  readonly install: string;
  /** What is known to be there without asking. */
  held(): readonly KubeObject[];
}

/** Makes a user's namespace with what belongs in it, once in a while and not for every environment; removes it when empty. */
export class NamespaceKeeper {
  private readonly prepared = new Map<
    string,
    { readonly manifests: string; readonly at: number; readonly done: Promise<void> }
  >();

  constructor(private readonly scope: Scope) {}

  /** @throws ApiError */
  async prepare(spec: EnvironmentSpec): Promise<void> {
    const namespace = namespaceOf(this.scope.install, spec.userId);
    const manifests = namespaceManifests(this.scope.install, spec.userId, spec.quota);
    const told = JSON.stringify(manifests);
    const before = this.prepared.get(namespace);
    if (before?.manifests === told && before.at > Date.now() - TRUST_MS) {
      await before.done;
      return;
    }
    const done = this.make(spec, manifests);
    this.prepared.set(namespace, { manifests: told, at: Date.now(), done });
    await done.catch((error: unknown) => {
      this.forget(namespace);
      throw error;
    });
  }

  /** It may not be there, or not as it was. */
  forget(namespace: string): void {
    this.prepared.delete(namespace);
  }

  /**
   * Is nothing in it but what goes with this environment, or is on its way out as well? What is known of here may be behind
   * what other servers, or other accounts of the cluster, have just deleted.
   * @throws ApiError
   */
  async isLast(place: Place): Promise<boolean> {
    return (
      !this.scope.held().some((object) => this.isOther(object, place)) && (await this.isEmptied(place, ['PersistentVolumeClaim']))
    );
  }

  /** The same, of nobody but the API. @throws ApiError */
  async isEmptied(place: Place, kinds = ['PersistentVolumeClaim', 'Pod']): Promise<boolean> {
    const namespace = namespaceOf(this.scope.install, place.userId);
    const lists = await Promise.all(kinds.map((kind) => this.scope.api.list<KubeObject>(pathOf(kind, 'v1', namespace))));
    return !lists.some(({ items }) => items.some((object) => this.isOther(object, place)));
  }

  /** @throws ApiError */
  async remove(namespace: string): Promise<void> {
    this.forget(namespace);
    await this.scope.api.delete(pathOf('Namespace', 'v1', null, namespace));
  }

  /**
   * Removes what an interrupted create or delete left empty.
   * @param used namespaces that something of ours is in
   * @throws ApiError
   */
  async sweep(used: ReadonlySet<string>, now: Date): Promise<void> {
    const { api, install } = this.scope;
    const query = { labelSelector: `${LABEL.install}=${install}` };
    const { items } = await api.list<KubeObject>(pathOf('Namespace', 'v1', null), { query });
    for (const { metadata } of items) {
      const { name = '', creationTimestamp = '', deletionTimestamp } = metadata ?? {};
      const old = now.getTime() - Date.parse(creationTimestamp) > EMPTY_MS;
      if (old && deletionTimestamp === undefined && !used.has(name)) await this.remove(name);
    }
  }

  private isOther(object: KubeObject, { userId, environmentId }: Place): boolean {
    const { namespace, deletionTimestamp } = object.metadata ?? {};
    const isHere = namespace === namespaceOf(this.scope.install, userId) && deletionTimestamp === undefined;
    return isHere && environmentOf(object) !== environmentId;
  }

  private async make(spec: EnvironmentSpec, manifests: readonly Manifest[]): Promise<void> {
    const { api, connection, install } = this.scope;
    const [namespace, ...inside] = manifests;
    if (namespace) await api.apply(namespace);
    const secrets = connection.options.imagePullSecrets.map(async (name) => {
      const secret = await this.pullSecretOf(name);
      return api.apply(pullSecret(install, spec.userId, { name, type: secret.type ?? 'Opaque', data: secret.data ?? {} }));
    });
    await Promise.all([...inside.map((manifest) => api.apply(manifest)), ...secrets]);
  }

  /** @throws RuntimeError `refused` where there is none: waiting does not make one */
  private async pullSecretOf(name: string): Promise<SecretObject> {
    const { api } = this.scope;
    const { namespace } = api.credentials;
    try {
      return await api.get<SecretObject>(pathOf('Secret', 'v1', namespace, name));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      throw new RuntimeError('refused', `The cluster has no Secret ${name} to pull images with in its namespace ${namespace}`);
    }
  }
}
