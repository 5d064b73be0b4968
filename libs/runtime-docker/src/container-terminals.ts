import { SHELL_PROCESS } from '@devpocket/container-runtime';
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
import { type EngineSession } from './engine-session';
import { isAbsent, toRuntimeError } from './engine-error';
import { type Container, type ContainerSummary } from './engine-objects';
import { ExecStream, execute } from './exec-stream';
import { incarnationOf } from './names';
import { mainsOf } from './sight';

const LIST_MS = 10_000;
/** A shell's code after SIGHUP, SIGKILL and SIGTERM. */
const ENDED_FROM_OUTSIDE = new Set([129, 137, 143]);
/** How long the word of a container's end may take, and how often it is asked for. */
const WORD_MS = 3_000;
const ASK_MS = 100;

/** The shells in containers: each is kept by a holder beside it, and reached by exec, again when that breaks. */
export class ContainerTerminals {
  private readonly attached = new Set<HeldTerminal>();

  constructor(
    private readonly session: EngineSession,
    private readonly clock: Clock,
    private readonly bufferBytes: number,
  ) {}

  /** @throws RuntimeError `gone` when the environment does not run */
  async open(place: Place, request: TerminalRequest): Promise<TerminalChannel> {
    const options = this.optionsFor(place, await this.homeOf(place));
    return this.use(await HeldTerminal.open(options, request, ['/bin/sh', '-c', SHELL_PROCESS]));
  }

  async adopt(place: Place, sessionId: string): Promise<TerminalChannel> {
    return this.use(await HeldTerminal.adopt(this.optionsFor(place, await this.homeOf(place)), sessionId));
  }

  /** Those of an environment that does not run are no more. */
  async list(place: Place): Promise<readonly TerminalRecord[]> {
    try {
      const { Id } = await this.homeOf(place);
      const { stdout } = await execute(this.session.engine, Id, holderCommand(['list']), LIST_MS);
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

  private optionsFor({ environmentId }: Place, { Id }: ContainerSummary): HeldTerminalOptions {
    return {
      run: (command) => this.run(Id, command),
      clock: this.clock,
      bufferBytes: this.bufferBytes,
      explain: (own) => this.explain(Id, own),
      touch: () => this.session.storage.touch(environmentId),
    };
  }

  /** That a container does not run is so when the engine has it so, too: one that has just come up may not know yet. */
  private async run(container: string, command: readonly string[]): Promise<ExecStream> {
    try {
      return await ExecStream.open(this.session.engine, container, command);
    } catch (error) {
      if (!(error instanceof RuntimeError) || error.kind !== 'gone') throw error;
      throw (await this.runs(container)) ? new RuntimeError('unreachable', error.message) : error;
    }
  }

  /** @throws RuntimeError `unreachable` */
  private async runs(container: string): Promise<boolean> {
    return (await this.inspect(container))?.State.Running ?? false;
  }

  private async inspect(container: string): Promise<Container | null> {
    try {
      return await this.session.engine.get<Container>(`/containers/${container}/json`);
    } catch (error) {
      if (isAbsent(error)) return null;
      throw toRuntimeError(error);
    }
  }

  private async homeOf(place: Place): Promise<ContainerSummary> {
    const { sighting, traces } = await this.session.see(place);
    const main = mainsOf(traces.containers).find(
      (one) => sighting.seen === 'running' && incarnationOf(one) === sighting.incarnation,
    );
    if (!main) throw new RuntimeError('gone', 'The environment does not run');
    return main;
  }

  private async explain(container: string, own: TerminalExit | null): Promise<TerminalExit> {
    // What ends a container ends its shells by these; the word of it comes a moment later.
    const code = own?.code ?? null;
    const suspect = code === null || ENDED_FROM_OUTSIDE.has(code);
    const exit = own ?? { code: null, signal: 'SIGHUP', reason: 'killed' };
    if (!suspect) return exit;
    for (const since = this.clock.millis(); ; await this.clock.wait(ASK_MS)) {
      // Ended from here, or by an engine that cannot say so while it removes it.
      if (this.session.isEnding(container)) return { code: null, signal: 'SIGHUP', reason: 'environment_stopped' };
      const found = await this.inspect(container).catch(() => undefined);
      if (found && !found.State.Running && this.session.isOutOfMemory(found))
        return { code: null, signal: 'SIGKILL', reason: 'out_of_memory' };
      if (found !== undefined && !found?.State.Running) return { code: null, signal: 'SIGHUP', reason: 'environment_stopped' };
      if (this.clock.millis() - since >= WORD_MS) return exit;
    }
  }
}
