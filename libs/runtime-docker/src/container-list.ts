import { type Clock } from '@devpocket/kernel';
import { type Engine } from './engine';
import { EngineError, isAbsent } from './engine-error';
import { type Container, type ContainerSummary } from './engine-objects';
import { filterOf, isOf } from './names';

/** How often, and after what pauses, a list is asked for that is no list. */
const LISTS = 10;
const AGAIN_MS = 50;

export interface Listing {
  readonly environmentId?: string;
  readonly signal?: AbortSignal;
}

/**
 * The containers of this installation. Podman (4.3) gives no list when one of the containers goes meanwhile, and none at all from the moment
 * that it has lost the network namespace of one: it says which, and shows and removes that one as any other.
 */
export class ContainerList {
  constructor(
    private readonly engine: Engine,
    private readonly install: string,
    private readonly clock: Clock,
  ) {}

  /** Of all environments, or of one. @throws EngineError */
  async read({ environmentId, signal }: Listing): Promise<readonly ContainerSummary[]> {
    const query = { all: true, filters: filterOf(this.install, environmentId) };
    const abort = signal ? { signal } : {};
    for (let left = LISTS; ; left -= 1) {
      try {
        const found = await this.engine.get<readonly ContainerSummary[]>('/containers/json', { query, ...abort });
        return found.filter((one) => isOf(one, this.install, environmentId));
      } catch (error) {
        const lost = lostIn(error);
        if (left <= 0 || (lost === null && !isAbsent(error))) throw error;
        await this.clock.wait(AGAIN_MS, signal);
        if (lost !== null && left === 1) await this.release(lost, error);
      }
    }
  }

  /** Removes one of ours that nothing else can be done with; its volumes are others' business. */
  private async release(container: string, error: unknown): Promise<void> {
    const { Config } = await this.engine.get<Container>(`/containers/${container}/json`);
    if (!isOf(Config, this.install)) {
      const words = error instanceof Error ? error.message : String(error);
      throw new EngineError(500, `Podman lists no containers until somebody does: podman rm -f ${container} (${words})`);
    }
    await this.engine.remove(container);
  }
}

/** The container whose state the engine cannot tell, which keeps it from telling anything. */
function lostIn(error: unknown): string | null {
  if (!(error instanceof EngineError) || error.status !== 500) return null;
  return /updating container ([0-9a-f]{64}) state: .*network namespace/.exec(error.message)?.[1] ?? null;
}
