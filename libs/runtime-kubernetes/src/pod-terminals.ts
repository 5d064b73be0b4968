import { type Clock } from '@devpocket/kernel';
import { HeldTerminal, type HeldTerminalOptions, holderCommand, recordsOf } from '@devpocket/pty-holder';
import {
  type Place,
  RuntimeError,
  type TerminalChannel,
  type TerminalExit,
  type TerminalRecord,
  type TerminalRequest,
} from '@devpocket/runtime';
import { type ClusterSession } from './cluster-session';
import { type ClusterSessions } from './cluster-sessions';
import { ExecStream, execute } from './exec-stream';
import { type Pod } from './kube-objects';
import { CONTAINER, incarnationOf } from './names';
import { SHELL_PROCESS } from '@devpocket/container-runtime';
import { mainOf, sightOf } from './sight';

const LIST_MS = 10_000;
/** A shell's code after SIGHUP, SIGKILL and SIGTERM. */
const ENDED_FROM_OUTSIDE = new Set([129, 137, 143]);
/** How long the word of a container's end may take, and how often it is looked for in what is held here. */
const WORD_MS = 3_000;
const ASK_MS = 50;

/** Where a shell is: the pod of one incarnation. */
interface Home {
  readonly session: ClusterSession;
  readonly place: Place;
  readonly pod: Pod;
  readonly at: { readonly namespace: string; readonly pod: string; readonly container: string };
}

/** The shells in pods: each is kept by a holder beside it, and reached by exec, again when that breaks. */
export class PodTerminals {
  private readonly attached = new Set<HeldTerminal>();

  constructor(
    private readonly sessions: ClusterSessions,
    private readonly clock: Clock,
    private readonly bufferBytes: number,
  ) {}

  /** @throws RuntimeError `gone` when the environment does not run */
  async open(place: Place, request: TerminalRequest): Promise<TerminalChannel> {
    const home = await this.homeOf(place);
    return this.use(await HeldTerminal.open(this.optionsFor(home), request, ['/bin/sh', '-c', SHELL_PROCESS]));
  }

  async adopt(place: Place, sessionId: string): Promise<TerminalChannel> {
    const home = await this.homeOf(place);
    return this.use(await HeldTerminal.adopt(this.optionsFor(home), sessionId));
  }

  /** Those of an environment that does not run are no more. */
  async list(place: Place): Promise<readonly TerminalRecord[]> {
    try {
      const { session, at } = await this.homeOf(place);
      const { stdout } = await execute(session.api, { ...at, command: holderCommand(['list']) }, LIST_MS);
      return recordsOf(stdout);
    } catch (error) {
      if (error instanceof RuntimeError && error.kind === 'gone') return [];
      throw error;
    }
  }

  detachAll(): void {
    for (const terminal of this.attached) terminal.detach();
  }

  private use(terminal: HeldTerminal): HeldTerminal {
    this.attached.add(terminal);
    void terminal.ended.then(() => this.attached.delete(terminal));
    return terminal;
  }

  private optionsFor(home: Home): HeldTerminalOptions {
    const { session, place, pod } = home;
    return {
      run: (command) => this.run(home, command),
      clock: this.clock,
      bufferBytes: this.bufferBytes,
      explain: (own) => this.explain(session, place, pod, own),
      touch: () => session.storage.touch(place.environmentId),
    };
  }

  /** A kubelet that has just begun does not know its pods: that a container is not there is so when the API has it so. */
  private async run({ session, place, pod, at }: Home, command: readonly string[]): Promise<ExecStream> {
    try {
      return await ExecStream.open(session.api, { ...at, command, stdin: true });
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind !== 'gone') throw error;
      const now = (await session.traces(place)).pods.find(({ metadata }) => metadata?.uid === pod.metadata?.uid);
      const runs = now?.metadata?.deletionTimestamp === undefined && now && mainOf(now)?.state?.running;
      throw runs ? new RuntimeError('unreachable', error.message) : error;
    }
  }

  private async homeOf(place: Place): Promise<Home> {
    const session = await this.sessions.of(place);
    const traces = await session.traces(place);
    const sighting = sightOf(traces, this.clock.now());
    const pod = traces.pods.find((one) => sighting.seen === 'running' && incarnationOf(one) === sighting.incarnation);
    if (!pod) throw new RuntimeError('gone', 'The environment does not run');
    const at = { namespace: pod.metadata?.namespace ?? '', pod: pod.metadata?.name ?? '', container: CONTAINER };
    return { session, place, pod, at };
  }

  private async explain(session: ClusterSession, place: Place, pod: Pod, own: TerminalExit | null): Promise<TerminalExit> {
    // What ends a container or a pod ends its shells by these; the word of it comes a moment later.
    const code = own?.code ?? null;
    const suspect = code === null || ENDED_FROM_OUTSIDE.has(code);
    const exit = own ?? { code: null, signal: 'SIGHUP', reason: 'killed' };
    for (let waited = 0; ; waited += ASK_MS) {
      const traces = await session.traces(place).catch(() => null);
      if (!traces) return exit;
      const now = traces.pods.find(({ metadata }) => metadata?.uid === pod.metadata?.uid);
      const terminated = now && mainOf(now)?.state?.terminated;
      if (terminated?.reason === 'OOMKilled') return { code: null, signal: 'SIGKILL', reason: 'out_of_memory' };
      if (!now || now.metadata?.deletionTimestamp !== undefined || terminated)
        return { code: null, signal: 'SIGHUP', reason: 'environment_stopped' };
      if (!suspect || waited >= WORD_MS) return exit;
      await this.clock.wait(ASK_MS);
    }
  }
}
