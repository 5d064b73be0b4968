import { ClusterSettings } from '@devpocket/config';
import { ClusterInspector, RuntimeError } from '@devpocket/runtime';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { invalidKubeConfig, runtimeNotAvailable } from './cluster.errors';
import { endpointFault } from './cluster.policy';
import { Keyring, type Sealed } from './keyring';

/** More than any kubeconfig is; a database document could hold 16 MiB. */
const MOST_BYTES = 1_048_576;

/** Kubeconfigs on their way into the database and out of it. No message of theirs repeats what one says. */
@Injectable()
export class KubeConfigs {
  constructor(
    @Optional() @Inject(ClusterInspector) private readonly inspector: ClusterInspector | null,
    private readonly keyring: Keyring,
    private readonly settings: ClusterSettings,
  ) {}

  /**
   * Judges one and seals it for a cluster.
   * @returns it with the address of the server that it names
   * @throws DomainError `runtime_not_available`, or 422 for `kube_config`
   */
  take(kubeConfig: string, clusterId: string): { readonly sealed: Sealed; readonly server: string } {
    if (!this.inspector) throw runtimeNotAvailable();
    if (Buffer.byteLength(kubeConfig) > MOST_BYTES) throw invalidKubeConfig(`must be at most ${MOST_BYTES} bytes`);
    const { allowInsecure } = this.settings;
    const server = this.judge(this.inspector, kubeConfig);
    const fault = endpointFault(server, allowInsecure);
    if (fault !== null) throw invalidKubeConfig(`names a server whose address ${fault}`);
    return { sealed: this.keyring.seal(kubeConfig, ownerOf(clusterId)), server };
  }

  /** @throws DomainError `unavailable` */
  open(sealed: Sealed, clusterId: string): string {
    return this.keyring.open(sealed, ownerOf(clusterId));
  }

  /** The same secret under the key that seals now; null when that is the one already. @throws DomainError `unavailable` */
  renew(sealed: Sealed, clusterId: string): Sealed | null {
    if (sealed.keyId === this.keyring.keyId) return null;
    return this.keyring.seal(this.open(sealed, clusterId), ownerOf(clusterId));
  }

  private judge(inspector: ClusterInspector, kubeConfig: string): string {
    try {
      return inspector.checkKubeConfig(kubeConfig, { allowInsecure: this.settings.allowInsecure }).endpoint;
    } catch (error) {
      if (error instanceof RuntimeError && error.kind === 'invalid') throw invalidKubeConfig(error.message);
      throw error;
    }
  }
}

const ownerOf = (clusterId: string): string => `cluster:${clusterId}`;
