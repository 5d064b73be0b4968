import { LABEL } from '@devpocket/container-runtime';
import { type Clock, Loop } from '@devpocket/kernel';
import { linesOf } from './answer-lines';
import { type EngineSession } from './engine-session';
import { removeIdleNetworks } from './idle-networks';
import { filterOf, heldOf, isOf } from './names';

const AGAIN_MS = 1_000;
/** How an environment looks does not change by these. */
const QUIET = /^(exec_|attach|archive-|extract-to-dir|top|resize|health_status)/;

interface EngineEvent {
  readonly Action?: string;
  /** podman's */
  readonly status?: string;
  readonly Actor?: { readonly Attributes?: Readonly<Record<string, string>> };
}

/** Follows what the engine tells of containers, and tells which environment may look otherwise. After a break, all of them may. */
export class EngineEvents {
  private readonly loop: Loop;
  /** Environments that there was something of before the break. */
  private known = new Set<string>();

  constructor(
    private readonly session: EngineSession,
    clock: Clock,
  ) {
    this.loop = new Loop(clock, { name: 'engine-events', intervalMs: AGAIN_MS, turn: (signal) => this.follow(signal) });
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async follow(signal: AbortSignal): Promise<void> {
    const query = { filters: { type: ['container'], label: filterOf(this.session.install).label } };
    const answer = await this.session.engine.stream('GET', '/events', { query, signal });
    await this.tellAll(signal);
    for await (const line of linesOf(answer)) {
      const { Action, status, Actor } = parse(line);
      const Labels = Actor?.Attributes ?? {};
      const environmentId = Labels[LABEL.environment];
      if (environmentId === undefined || !isOf({ Labels }, this.session.install) || QUIET.test(Action ?? status ?? '')) continue;
      this.known.add(environmentId);
      this.session.changed(environmentId);
    }
  }

  private async tellAll(signal: AbortSignal): Promise<void> {
    const containers = await this.session.containers({ signal });
    const now = new Set(containers.flatMap((one) => heldOf(one)?.environmentId ?? []));
    const all = new Set([...now, ...this.known]);
    this.known = now;
    for (const environmentId of all) this.session.changed(environmentId);
    // Not worth the loss of what is told.
    await removeIdleNetworks(this.session, containers, signal).catch(() => undefined);
  }
}

function parse(line: string): EngineEvent {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === 'object' && event !== null ? event : {};
  } catch {
    return {}; // cut off in a line
  }
}
