import { type Sighting, type TerminalExit, type TerminalSize } from '@devpocket/runtime';
import { type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { type Readable, type Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Pty } from './pty';
import { SEARCH_PATH } from './search-path';
import { type Capabilities } from './capabilities';
import { giveFolder } from './folder';
import { type Cgroups } from './cgroup';
import { type HostShell, type OpenedShell } from './host-shell';
import { type HostSpec } from './host-protocol';
import { type EnvironmentState, type Layout, readState, writeState } from './layout';
import { LogWriter } from './log-file';
import { childrenOf, markedPids, namespacePids, networkUsage, signal, usageOf } from './processes';
import { spawnSealed } from './spawn-sealed';
import { StorageWatch } from './storage-watch';
import { BASE_VARIABLES, FD, hiddenFolders, joinArguments, type Joining, sandboxCommand, setUpTexts } from './sandbox';
import { ShellKeepers } from './shell-keepers';
import { networkArguments } from './sandbox-network';

/** Host uids of environments begin here: above people, services and the first ranges of user namespaces (subuid(5)). */
const FIRST_UID = 1_900_000;
const LINES_AT_ONCE = 500;
const REST_TIMES = 4;
/** Of a line whose end has not come; more than is kept of one. */
const MOST_PENDING = 65_536;

export interface HostContext {
  readonly layout: Layout;
  readonly capabilities: Capabilities;
  readonly cgroups: Cgroups | null;
  /** Of the server, with its files and its `.env`: no environment sees them. */
  readonly serverFolders: readonly string[];
  readonly log: (message: string) => void;
}

interface Run {
  readonly spec: HostSpec;
  readonly process: ChildProcess | null;
  readonly groups: readonly string[];
  readonly uid: number | null;
  /** The sandbox's first process, as this machine counts; 0 until it is known. */
  target: number;
  phase: 'starting' | 'running' | 'stopping';
  /** Null: there is no sandbox, or nothing in it that could start shells. */
  keepers: ShellKeepers | null;
  startupFailed: string | null;
  network: ChildProcess | null;
  oomKillsBefore: number;
  ending: Promise<void> | null;
}

/** One environment of this machine: its sandbox and its terminals. Only the host has these. */
export class HostEnvironment {
  readonly sessions = new Map<string, HostShell>();
  private run: Run | null = null;
  private state: EnvironmentState;
  private readonly logs: LogWriter;
  private storage: StorageWatch | null = null;

  private constructor(
    readonly id: string,
    private readonly context: HostContext,
    state: EnvironmentState,
  ) {
    this.state = state;
    this.logs = new LogWriter(context.layout.log(id), (error) => this.context.log(`the log of ${id}: ${String(error)}`));
    if (state.running) {
      // A host before this one died, and its processes with it.
      this.note({ running: false, ended: { reason: 'runtime_state_lost', message: 'The process that held its shells ended' } });
    }
  }

  static load(id: string, context: HostContext): HostEnvironment | null {
    const state = readState(context.layout, id);
    return state && new HostEnvironment(id, context, state);
  }

  /** Makes the folder. */
  static create(id: string, install: string, context: HostContext): HostEnvironment {
    const { layout } = context;
    mkdirSync(layout.workspace(id), { recursive: true, mode: 0o700 });
    chmodSync(layout.workspace(id), 0o700);
    const state: EnvironmentState = {
      install,
      incarnation: 0,
      uid: null,
      running: false,
      startupDone: false,
      startupFailed: null,
      ended: null,
    };
    writeState(layout, id, state);
    return new HostEnvironment(id, context, state);
  }

  sighting(): Sighting {
    const { run, state } = this;
    if (!run)
      return {
        seen: 'stopped',
        incarnation: state.incarnation,
        reason: state.ended?.reason ?? null,
        message: state.ended?.message ?? null,
      };
    const { incarnation } = run.spec;
    switch (run.phase) {
      case 'stopping':
        return { seen: 'stopping', incarnation };
      case 'starting':
        return run.target === 0
          ? { seen: 'starting', incarnation, phase: 'starting_container', progress: 40 }
          : { seen: 'starting', incarnation, phase: 'running_startup', progress: 80 };
      case 'running':
        return { seen: 'running', incarnation, startupFailed: run.startupFailed };
    }
  }

  async start(spec: HostSpec): Promise<void> {
    if (this.run && this.run.spec.incarnation >= spec.incarnation) return;
    if (this.run) await this.end('environment_stopped');
    const { cgroups, capabilities } = this.context;
    const uid = this.ownUid();
    const groups = cgroups?.create(this.id, spec.resources) ?? [];
    const startup = this.state.startupDone ? [] : spec.startupCommands;
    this.keep({ uid, incarnation: spec.incarnation, running: true, ended: null, startupDone: true });
    this.say('info', `Starting ${spec.name}`);
    const base = {
      spec,
      groups,
      uid,
      target: 0,
      keepers: null,
      startupFailed: this.state.startupFailed,
      network: null,
      ending: null,
      oomKillsBefore: cgroups?.usage(this.id)?.oomKills ?? 0,
    };
    this.run =
      capabilities.bwrap === null
        ? { ...base, process: this.plainStartup(spec, startup), phase: 'starting' }
        : {
            ...base,
            process: this.sandbox({ ...spec, startupCommands: startup }, groups, capabilities.bwrap),
            phase: 'starting',
          };
    this.supervise(this.run);
    this.storage?.stop();
    this.storage = new StorageWatch(
      { folder: this.context.layout.workspace(this.id), limit: spec.resources.storageBytes, capabilities },
      (message) => void this.end('killed', { reason: 'volume_full', message }),
    );
  }

  /** The user that a sandbox's processes are. One that began without a sandbox gets it, and its files with it: root is never inside. */
  private ownUid(): number | null {
    const { capabilities, layout } = this.context;
    if (this.state.uid !== null || capabilities.bwrap === null || !capabilities.isRoot) return this.state.uid;
    const uid = freeUid(layout);
    giveFolder(layout.workspace(this.id), uid);
    return uid;
  }

  /** Begins to stop; `sighting` tells when it is done. */
  stop(incarnation: number, graceMs: number, kill: boolean): void {
    const { run } = this;
    if (!run || run.spec.incarnation > incarnation) return;
    if (run.phase === 'stopping' && !kill) return;
    const begin = run.phase !== 'stopping';
    run.phase = 'stopping';
    if (begin) this.say('info', 'Stopping');
    for (const session of this.sessions.values()) session.endReason ??= 'environment_stopped';
    if (kill || graceMs === 0) {
      void this.end('environment_stopped');
      return;
    }
    // Shells hang up, everything else is asked to end; what has not within the grace time is killed.
    const pids = this.userPids(run);
    for (const pid of pids) signal(pid, 'SIGHUP');
    for (const pid of pids) signal(pid, 'SIGTERM');
    const deadline = Date.now() + graceMs;
    const look = (): void => {
      if (this.run !== run) return;
      if (this.userPids(run).length === 0 || Date.now() >= deadline) void this.end('environment_stopped');
      else setTimeout(look, 20);
    };
    look();
  }

  /** Ends every process now; resolves when the last has gone. */
  end(reason: TerminalExit['reason'], why: EnvironmentState['ended'] = null): Promise<void> {
    const { run } = this;
    if (!run) return Promise.resolve();
    run.phase = 'stopping';
    for (const session of this.sessions.values()) session.endReason ??= reason;
    // Once: a second ending would outlast the first and reach into the next run.
    run.ending ??= this.finish(run, why);
    return run.ending;
  }

  /** @param make who takes its output; not asked for a session that is there already @returns null: the environment does not run */
  open(sessionId: string, { cols, rows }: TerminalSize, make: (opened: OpenedShell) => HostShell): HostShell | null {
    const { run } = this;
    if (run?.phase !== 'running') return null;
    const before = this.sessions.get(sessionId);
    if (before) return before;
    const opened =
      run.target > 0
        ? (run.keepers?.open(cols, rows) ?? Pty.joined(joinArguments(joining(run)), cols, rows))
        : Pty.plain(
            [BASE_VARIABLES.SHELL ?? '/bin/sh', '-i'],
            cols,
            rows,
            this.context.layout.workspace(this.id),
            this.plainVariables(run.spec),
          );
    const session = make({ ...opened, explain: (code, sig) => this.explain(run, code, sig) });
    this.sessions.set(sessionId, session);
    return session;
  }

  usage(): {
    readonly cpuNanos: number;
    readonly memoryBytes: number;
    readonly storageBytes: number | null;
    readonly network: readonly [number, number] | null;
  } | null {
    if (!this.run) return null;
    const group = this.context.cgroups?.usage(this.id) ?? usageOf(this.pids());
    return {
      cpuNanos: group.cpuNanos,
      memoryBytes: group.memoryBytes,
      storageBytes: this.storage?.bytes ?? null,
      network: this.run.target > 0 ? networkUsage(this.run.target) : null,
    };
  }

  private supervise(run: Run): void {
    const { process: child } = run;
    child?.once('exit', () => {
      if (this.run !== run || run.target === -1) return;
      if (this.context.capabilities.bwrap === null) return; // only the startup commands have ended
      const failed = run.phase === 'starting' && run.target === 0;
      const oom = this.oomKilled(run);
      const why: EnvironmentState['ended'] =
        run.phase === 'stopping'
          ? null
          : oom
            ? { reason: 'out_of_memory', message: 'Out of memory' }
            : failed
              ? { reason: 'internal', message: 'The sandbox could not be started; its log tells more' }
              : { reason: 'runtime_state_lost', message: 'Its processes ended' };
      void this.end(oom ? 'out_of_memory' : 'environment_stopped', why);
    });
    child?.once('error', (error) => {
      this.say('error', `Could not be started: ${error.message}`);
    });
  }

  private sandbox(spec: HostSpec, groups: readonly string[], bwrap: string): ChildProcess {
    const { layout, capabilities } = this.context;
    const { uid } = this.state;
    const { ip } = capabilities;
    const hidden = hiddenFolders(this.context.serverFolders);
    const command = sandboxCommand({ bwrap, ip, spec, workspace: layout.workspace(this.id), uid, groups, hidden });
    const [file = '', ...args] = command;
    const texts = setUpTexts(spec, uid ?? process.getuid?.() ?? 65534);
    const last = Math.max(...texts.map(([fd]) => fd));
    const child = spawnSealed(file, args, {
      cwd: '/',
      env: { PATH: SEARCH_PATH },
      stdio: ['ignore', ...Array<'pipe'>(last).fill('pipe')],
    });
    for (const [fd, text] of texts) {
      const pipe = child.stdio[fd] as Writable;
      pipe.on('error', () => undefined); // it ended before it read: its exit tells
      pipe.end(text);
    }
    this.readOutput(child, spec.incarnation);
    let info = '';
    child.stdio[FD.info]?.on('data', (chunk: Buffer) => {
      info += chunk.toString();
      const pid = /"child-pid":\s*(\d+)/.exec(info)?.[1];
      if (pid !== undefined && this.run?.process === child && this.run.target === 0) this.begun(this.run, Number(pid));
    });
    let status = '';
    child.stdio[FD.status]?.on('data', (chunk: Buffer) => {
      status = (status + chunk.toString()).slice(-MOST_PENDING);
      for (let end = status.indexOf('\n'); end >= 0; end = status.indexOf('\n')) {
        const line = status.slice(0, end);
        status = status.slice(end + 1);
        if (this.run?.process === child) this.told(this.run, line);
      }
    });
    return child;
  }

  private begun(run: Run, target: number): void {
    run.target = target;
    const { capabilities } = this.context;
    const { network } = run.spec;
    const path = network === 'pasta' ? capabilities.pasta : network === 'slirp4netns' ? capabilities.slirp4netns : null;
    if (path === null || (network !== 'pasta' && network !== 'slirp4netns')) return;
    const [file = '', ...args] = networkArguments(network, path, target, run.uid);
    const env = { PATH: SEARCH_PATH, DEVPOCKET_ENVIRONMENT: this.id };
    run.network = spawnSealed(file, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], env, cwd: '/' });
    run.network.stderr?.on('data', (chunk: Buffer) => this.context.log(`${network} of ${this.id}: ${chunk.toString().trim()}`));
    run.network.on('error', (error) => this.context.log(`${network} of ${this.id}: ${error.message}`));
  }

  private told(run: Run, line: string): void {
    const failed = /^failed (\d+) (.*)$/.exec(line);
    if (failed) {
      run.startupFailed = `A startup command ended with ${failed[1] ?? ''}: ${failed[2] ?? ''}`.slice(0, 500);
      this.note({ startupFailed: run.startupFailed });
      this.say('error', run.startupFailed);
    }
    if (line === 'ready' && run.phase === 'starting') {
      run.phase = 'running';
      if (run.target > 0 && existsSync('/bin/bash'))
        run.keepers = new ShellKeepers(() => (run.phase === 'running' ? joining(run) : null));
      run.keepers?.prepare();
      this.say('info', 'Running');
    }
  }

  /** Without a sandbox there is nothing to hold: only the startup commands run. */
  private plainStartup(spec: HostSpec, commands: readonly string[]): ChildProcess {
    const script =
      'for command in "$@"; do sh -c "$command" </dev/null; code=$?; if [ $code -ne 0 ]; then echo "failed $code $command" >&3; break; fi; done; echo ready >&3';
    const child = spawnSealed('/bin/sh', ['-c', script, 'devpocket', ...commands], {
      cwd: this.context.layout.workspace(this.id),
      env: this.plainVariables(spec),
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.readOutput(child, spec.incarnation);
    child.stdio[3]?.on('data', (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n')) if (this.run?.process === child) this.told(this.run, line);
    });
    return child;
  }

  private plainVariables(spec: HostSpec): Record<string, string> {
    const home = this.context.layout.workspace(this.id);
    return {
      ...BASE_VARIABLES,
      PATH: SEARCH_PATH,
      HOME: home,
      ...spec.environmentVariables,
      DEVPOCKET_ENVIRONMENT: this.id,
    };
  }

  private readOutput({ stdout, stderr }: ChildProcess, incarnation: number): void {
    for (const [stream, level] of [[stdout, 'info'] as const, [stderr, 'error'] as const])
      if (stream) this.readLines(stream, level, incarnation).catch(() => undefined); // it was cut off: there is no more to read
  }

  /** Rests in proportion to its work: a program that never stops writing leaves this process its time for terminals. */
  private async readLines(stream: Readable, level: 'info' | 'error', incarnation: number): Promise<void> {
    let rest = '';
    for await (const text of stream.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(0, MOST_PENDING);
      for (let at = 0; at < lines.length; at += LINES_AT_ONCE) {
        const begun = performance.now();
        this.logs.append('startup', level, incarnation, ...lines.slice(at, at + LINES_AT_ONCE));
        await delay(REST_TIMES * (performance.now() - begun));
      }
    }
    if (rest !== '') this.logs.append('startup', level, incarnation, rest);
  }

  private async finish(run: Run, why: EnvironmentState['ended']): Promise<void> {
    const deadline = Date.now() + 10_000;
    for (;;) {
      if (run.target > 0) signal(run.target, 'SIGKILL'); // the first process of the pid namespace takes all with it
      if (run.process?.pid && run.process.exitCode === null && run.process.signalCode === null)
        signal(run.process.pid, 'SIGKILL');
      const pids = this.pids();
      for (const pid of pids) signal(pid, 'SIGKILL');
      const shells = [...this.sessions.values()].filter(({ alive }) => alive);
      for (const { pid, waiter } of shells) for (const each of [pid(), waiter()]) signal(each, 'SIGKILL');
      if (pids.length === 0 && (shells.length === 0 || Date.now() > deadline)) break;
      if (Date.now() > deadline + 10_000) break;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    run.network?.stdio[3]?.destroy(); // its leash
    run.keepers?.end();
    if (this.run !== run) return;
    this.run = null;
    this.storage?.stop();
    this.context.cgroups?.remove(this.id);
    this.note({ running: false, ended: why });
    this.say(why ? 'error' : 'info', why ? why.message : 'Stopped');
  }

  /** Every process of the environment that is known by now. */
  private pids(): readonly number[] {
    const { run } = this;
    if (!run) return [];
    const grouped = this.context.cgroups?.pids(this.id);
    if (grouped) return grouped;
    return run.target > 0 ? namespacePids(run.target) : markedPids(this.id);
  }

  /** Without those that hold the sandbox: were they asked to end, all would end at once. */
  private userPids(run: Run): readonly number[] {
    const holders = new Set([run.process?.pid ?? 0]);
    if (run.target > 0) {
      const init = childrenOf(run.target);
      for (const pid of [run.target, ...init, ...init.flatMap(childrenOf)]) holders.add(pid);
    }
    return this.pids().filter((pid) => !holders.has(pid));
  }

  private explain(run: Run, code: number | null, sig: string | null): TerminalExit['reason'] {
    if (run.phase === 'stopping') return 'environment_stopped';
    if ((sig === 'SIGKILL' || code === 137) && this.oomKilled(run)) return 'out_of_memory';
    return sig === null ? 'exited' : 'killed';
  }

  private oomKilled(run: Run): boolean {
    return (this.context.cgroups?.usage(this.id)?.oomKills ?? 0) > run.oomKillsBefore;
  }

  private keep(change: Partial<EnvironmentState>): void {
    const state = { ...this.state, ...change };
    writeState(this.context.layout, this.id, state);
    this.state = state;
  }

  /** Of what has happened already, whatever the disk takes. */
  private note(change: Partial<EnvironmentState>): void {
    this.state = { ...this.state, ...change };
    try {
      writeState(this.context.layout, this.id, this.state);
    } catch (error) {
      this.context.log(`the state of ${this.id}: ${String(error)}`);
    }
  }

  private say(level: 'info' | 'error', message: string): void {
    this.logs.append('system', level, this.run?.spec.incarnation ?? this.state.incarnation, message);
  }
}

const joining = (run: Run): Joining => ({ ...run, resources: run.spec.resources });

function freeUid(layout: Layout): number {
  const taken = new Set(readdirSync(layout.environments).map((id) => readState(layout, id)?.uid));
  let uid = FIRST_UID;
  while (taken.has(uid)) uid += 1;
  return uid;
}
