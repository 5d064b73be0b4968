import { type Clock } from '@devpocket/kernel';
import {
  type EnvironmentSpec,
  type Held,
  type LogEntry,
  type LogEvent,
  type LogQuery,
  type LogSource,
  type Place,
  RuntimeDriver,
  RuntimeError,
  type RuntimeKind,
  type RuntimeReport,
  type Sighting,
  type TerminalChannel,
  type TerminalRecord,
  type TerminalRequest,
  type Usage,
} from '../src';
import { FakeTerminal } from './fake-terminal';

interface Line extends Omit<LogEntry, 'type'> {
  readonly incarnation: number;
}

interface World {
  readonly place: Place;
  sighting: Sighting;
  spec: EnvironmentSpec | null;
  startupDone: boolean;
  startupFailed: string | null;
  /** Still to be shown. */
  pulls: readonly number[];
  /** Looks that still show `starting`. */
  phases: number;
  readonly lines: Line[];
  readonly files: Map<string, string>;
  readonly terminals: Map<string, FakeTerminal>;
}

export interface FakeOptions {
  readonly clock: Clock;
  /** Looks that a start takes; 1 by default. */
  readonly phases?: number;
  /** Keeps users apart; true unless told. */
  readonly multiUser?: boolean;
  /** What it stands in for; `local` by default. */
  readonly kind?: RuntimeKind;
}

const MOST_LINE_BYTES = 16_384;
const LOSSES = { out_of_memory: 'Out of memory', volume_full: 'The volume is full' } as const;
type LossReason = keyof typeof LOSSES;

const PHASES = ['creating_volume', 'starting_container', 'running_startup'] as const;

/**
 * A runtime in memory, for speed and for faults that a real one cannot be made to have. Its shell knows a handful of commands
 * (see `FakeTerminal`). It passes the same contract suite as the real ones.
 */
export class FakeDriver extends RuntimeDriver {
  readonly kind: RuntimeKind;
  readonly durableTerminals = true;
  /** Acts in the order in which they came, such as `start e1 2`. */
  readonly acts: string[] = [];
  /** While set, nothing answers. */
  unreachable = false;
  /** While set, a start fails with it. */
  startError: RuntimeError | null = null;
  /** While set, acts fail with it and do nothing. */
  broken: Error | null = null;
  /** Of what runs. */
  cpuMillis = 10;
  memoryBytes = 10_000_000;
  storageBytes = 4096;
  /** What the looks at a start show of its image first, in percent of what is to be pulled: layers begin anew now and then. */
  pulls: readonly number[] = [];
  /** Looks that a start takes. */
  phases: number;
  /** While set, what was told to stop or to be destroyed does not. */
  stuck = false;
  /**
   * What becomes of the next start, stop or removal: it waits for `release` before or after it takes effect, or it takes effect
   * and the answer is lost.
   */
  nextAct: 'wait_before' | 'wait_after' | 'lose_answer' | null = null;
  /** The next look is old by the time that it is answered: it waits for `release`. */
  nextLookWaits = false;
  private readonly waiting = new Set<() => void>();
  private readonly worlds = new Map<string, World>();

  constructor(private readonly options: FakeOptions) {
    super();
    this.kind = options.kind ?? 'local';
    this.phases = options.phases ?? 1;
  }

  open(): Promise<RuntimeReport> {
    return Promise.resolve({
      kind: this.kind,
      summary: 'in memory, for tests',
      warnings: [],
      multiUser: this.options.multiUser ?? true,
      exposable: true,
    });
  }

  close({ keepTerminals }: { readonly keepTerminals: boolean }): Promise<void> {
    for (const world of this.worlds.values()) {
      for (const terminal of world.terminals.values()) terminal.detach();
      if (!keepTerminals) this.endAll(world, null, null);
    }
    return Promise.resolve();
  }

  async check(): Promise<void> {
    await this.answer();
  }

  async look(place: Place): Promise<Sighting> {
    await this.answer();
    const world = this.worlds.get(place.environmentId);
    if (world?.sighting.seen === 'starting') this.advance(world);
    const sighting: Sighting = world?.sighting ?? { seen: 'absent' };
    if (this.nextLookWaits) {
      this.nextLookWaits = false;
      await this.wait();
    }
    return sighting;
  }

  /** As new. */
  reset(): void {
    this.release();
    this.worlds.clear();
    this.acts.length = 0;
    const { phases = 1 } = this.options;
    const faults = {
      unreachable: false,
      startError: null,
      broken: null,
      stuck: false,
      nextAct: null,
      nextLookWaits: false,
      cpuMillis: 10,
      memoryBytes: 10_000_000,
      storageBytes: 4096,
      pulls: [],
    };
    Object.assign(this, { ...faults, phases });
  }

  /** Acts and looks that wait for `release`. */
  get held(): number {
    return this.waiting.size;
  }

  release(): void {
    for (const go of this.waiting) go();
    this.waiting.clear();
  }

  start(spec: EnvironmentSpec): Promise<void> {
    return this.act(() => this.begin(spec));
  }

  private begin(spec: EnvironmentSpec): void {
    this.acts.push(`start ${spec.environmentId} ${spec.incarnation}`);
    if (this.startError) throw this.startError;
    const world = this.worlds.get(spec.environmentId) ?? this.create(spec);
    const { sighting } = world;
    if (sighting.seen !== 'absent' && sighting.seen !== 'stopped' && sighting.incarnation === spec.incarnation) return;
    this.endAll(world, null, null);
    world.spec = spec;
    world.phases = this.phases;
    world.pulls = this.pulls;
    const phase = world.pulls.length > 0 ? 'queued' : 'creating_volume';
    world.sighting = { seen: 'starting', incarnation: spec.incarnation, phase, progress: phase === 'queued' ? 0 : 10 };
    this.log(world, 'system', `Started ${spec.name}`);
    if (world.phases === 0) this.advance(world);
  }

  stop(place: Place, { incarnation }: { readonly incarnation: number }): Promise<void> {
    return this.act(() => {
      this.acts.push(`stop ${place.environmentId} ${incarnation}`);
      const world = this.worlds.get(place.environmentId);
      if (!world || this.stuck || world.sighting.seen === 'absent' || world.sighting.incarnation > incarnation) return;
      this.endAll(world, null, null);
    });
  }

  destroy(place: Place): Promise<void> {
    return this.act(() => {
      this.acts.push(`destroy ${place.environmentId}`);
      const world = this.worlds.get(place.environmentId);
      if (!world || this.stuck) return;
      this.endAll(world, null, null);
      this.worlds.delete(place.environmentId);
    });
  }

  async list(): Promise<readonly Held[]> {
    await this.answer();
    return [...this.worlds.values()].map(({ place, spec }) => ({ ...place, install: spec?.install ?? null }));
  }

  async usage(places: readonly Place[]): Promise<ReadonlyMap<string, Usage>> {
    await this.answer();
    const running = places.filter(({ environmentId }) => this.worlds.get(environmentId)?.sighting.seen === 'running');
    const { cpuMillis, memoryBytes, storageBytes } = this;
    const usage = { cpuMillis, memoryBytes, storageBytes, networkRx: 0, networkTx: 0 };
    return new Map(running.map(({ environmentId }) => [environmentId, usage]));
  }

  async *logs(place: Place, query: LogQuery, signal: AbortSignal): AsyncIterable<LogEvent> {
    await this.answer();
    const world = this.worlds.get(place.environmentId);
    if (!world) throw new RuntimeError('gone', 'There is no such environment');
    const from = query.after === null ? -1 : Number(query.after);
    if (!Number.isInteger(from) || from >= world.lines.length) throw new RuntimeError('invalid', 'Not a cursor of these logs');
    const { since } = query;
    const wanted = world.lines.slice(from + 1).filter(({ timestamp }) => since === null || timestamp >= since);
    const shown = query.after === null ? wanted.slice(-query.lines) : query.follow ? wanted : wanted.slice(0, query.lines);
    let incarnation = world.lines[from]?.incarnation;
    for (const { incarnation: own, ...line } of shown) {
      if (incarnation !== undefined && own !== incarnation) yield { type: 'restarted' };
      if (query.after !== null) incarnation = own;
      yield { type: 'log', ...line };
    }
    if (!query.follow) return;
    yield { type: 'caught_up' };
    let at = world.lines.length;
    incarnation = world.lines.at(-1)?.incarnation ?? 0;
    while (!signal.aborted && this.worlds.has(place.environmentId)) {
      for (const { incarnation: own, ...line } of world.lines.slice(at)) {
        at += 1;
        if (own !== incarnation) yield { type: 'restarted' };
        incarnation = own;
        if (since === null || line.timestamp >= since) yield { type: 'log', ...line };
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async openTerminal(place: Place, request: TerminalRequest): Promise<TerminalChannel> {
    await this.answer();
    const world = this.runningWorld(place);
    const terminal = new FakeTerminal(request, this.options.clock.now(), world.files);
    world.terminals.set(request.sessionId, terminal);
    return terminal.channel();
  }

  async terminals(place: Place): Promise<readonly TerminalRecord[]> {
    await this.answer();
    return [...(this.worlds.get(place.environmentId)?.terminals.values() ?? [])].map((terminal) => terminal.record());
  }

  async adoptTerminal(place: Place, sessionId: string): Promise<TerminalChannel> {
    await this.answer();
    const terminal = this.worlds.get(place.environmentId)?.terminals.get(sessionId);
    if (!terminal) throw new RuntimeError('gone', 'There is no such terminal');
    return terminal.channel();
  }

  /** The program's side of a terminal: what it prints. */
  print(environmentId: string, sessionId: string, data: Buffer): void {
    this.worlds.get(environmentId)?.terminals.get(sessionId)?.print(data);
  }

  /** A line that its processes write. */
  say(environmentId: string, message: string): void {
    const world = this.worlds.get(environmentId);
    if (world) this.log(world, 'container', message);
  }

  /** Its processes end without being asked to. */
  lose(environmentId: string, reason: LossReason | null = null): void {
    const world = this.worlds.get(environmentId);
    if (world) this.endAll(world, reason, reason === null ? null : LOSSES[reason]);
  }

  private async answer(): Promise<void> {
    await Promise.resolve();
    if (this.unreachable) throw new RuntimeError('unreachable', 'The fake does not answer');
  }

  private async act(take: () => void): Promise<void> {
    await this.answer();
    if (this.broken) throw this.broken;
    const { nextAct } = this;
    this.nextAct = null;
    if (nextAct === 'wait_before') await this.wait();
    take();
    if (nextAct === 'wait_after') await this.wait();
    if (nextAct === 'lose_answer') throw new RuntimeError('unreachable', 'The answer of the fake was lost');
  }

  private wait(): Promise<void> {
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  private create(spec: EnvironmentSpec): World {
    const { environmentId, userId, clusterId } = spec;
    const place = { environmentId, userId, clusterId };
    const world: World = {
      place,
      sighting: { seen: 'absent' },
      spec,
      startupDone: false,
      startupFailed: null,
      phases: 0,
      pulls: [],
      lines: [],
      files: new Map(),
      terminals: new Map(),
    };
    this.worlds.set(environmentId, world);
    return world;
  }

  private runningWorld(place: Place): World {
    const world = this.worlds.get(place.environmentId);
    if (world?.sighting.seen !== 'running') throw new RuntimeError('gone', 'The environment does not run');
    return world;
  }

  /** One step of a start for each look. */
  private advance(world: World): void {
    if (world.sighting.seen !== 'starting' || !world.spec) return;
    const { incarnation } = world.sighting;
    const [pulled, ...pulls] = world.pulls;
    if (pulled !== undefined) {
      world.pulls = pulls;
      world.sighting = { seen: 'starting', incarnation, phase: 'pulling_image', progress: Math.round(5 + pulled / 2) };
      return;
    }
    if (world.phases > 0) {
      const phase = PHASES[Math.min(PHASES.length - 1, this.phases - world.phases)] ?? 'running_startup';
      world.phases -= 1;
      world.sighting = { seen: 'starting', incarnation, phase, progress: 90 - world.phases };
      return;
    }
    if (!world.startupDone) {
      world.startupDone = true;
      for (const command of world.spec.startupCommands) this.startup(world, command);
    }
    world.sighting = { seen: 'running', incarnation, startupFailed: world.startupFailed };
  }

  private startup(world: World, command: string): void {
    const text = /^echo (.*)$/.exec(command)?.[1];
    if (text !== undefined) this.log(world, 'startup', text);
    if (command.startsWith('exit ')) world.startupFailed = `A startup command failed: ${command}`;
  }

  private endAll(world: World, reason: LossReason | null, message: string | null): void {
    for (const terminal of world.terminals.values()) {
      terminal.end({
        code: null,
        signal: 'SIGKILL',
        reason: reason === 'out_of_memory' ? 'out_of_memory' : 'environment_stopped',
      });
    }
    if (world.sighting.seen === 'absent') return;
    world.sighting = { seen: 'stopped', incarnation: world.sighting.incarnation, reason, message };
  }

  private log(world: World, source: LogSource, message: string): void {
    const incarnation = world.spec?.incarnation ?? 0;
    const cut = Buffer.byteLength(message) > MOST_LINE_BYTES;
    world.lines.push({
      timestamp: this.options.clock.now(),
      level: 'info',
      message: cut ? new TextDecoder().decode(Buffer.from(message).subarray(0, MOST_LINE_BYTES), { stream: true }) : message,
      truncated: cut,
      source,
      cursor: String(world.lines.length),
      incarnation,
    });
  }
}
