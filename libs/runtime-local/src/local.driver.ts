import {
  type EnvironmentSpec,
  type Held,
  type LogEvent,
  type LogQuery,
  type Place,
  RuntimeDriver,
  RuntimeError,
  type RuntimeReport,
  type SessionProcess,
  type Sighting,
  type TerminalChannel,
  type TerminalRecord,
  type TerminalRequest,
  type Usage,
} from '@devpocket/runtime';
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Capabilities, detectCapabilities } from './capabilities';
import { HostClient } from './host-client';
import { type HostRecord, type HostSpec } from './host-protocol';
import { Layout, readState } from './layout';
import { type LogLine, LogReader } from './log-file';
import { LocalTerminal } from './local-terminal';

export interface LocalRuntimeOptions {
  readonly dataDir: string;
  /** Null: pasta or slirp4netns where it is; else `host` while there is one account, `none` beside others. */
  readonly network: 'pasta' | 'host' | 'none' | null;
  readonly allowUnsandboxedUsers: boolean;
  /** Output kept per session, in bytes. */
  readonly terminalBufferBytes: number;
  /** How long shells wait for a server that went away. */
  readonly hostGraceSeconds: number;
  /** The program that holds the shells, made with `runHost`; null: one that leaves their sessions to the server. */
  readonly hostProgram: string | null;
  /** Why it is this driver, for the start-up line. */
  readonly chosen: string;
  readonly log: { info(message: string): void; warn(message: string): void; error(message: string): void };
}

interface HostUsage {
  readonly cpuNanos: number;
  readonly memoryBytes: number;
  readonly storageBytes: number | null;
  readonly network: readonly [number, number] | null;
}

const FOLLOW_MS = 100;

/** Environments on this machine itself: a sandbox each where bubblewrap works, plain processes where it does not. */
export class LocalDriver extends RuntimeDriver {
  readonly kind = 'local';
  readonly durableTerminals = true;
  private readonly layout: Layout;
  private readonly host: HostClient;
  private readonly capabilities: Capabilities = detectCapabilities();
  private readonly readings = new Map<string, { readonly cpuNanos: number; readonly at: number }>();
  private toldOfHostNetwork = false;

  constructor(private readonly options: LocalRuntimeOptions) {
    super();
    this.layout = new Layout(resolve(options.dataDir));
    this.host = new HostClient({
      layout: this.layout,
      bufferBytes: options.terminalBufferBytes,
      graceMs: options.hostGraceSeconds * 1000,
      program: options.hostProgram,
    });
  }

  async open(): Promise<RuntimeReport> {
    mkdirSync(this.layout.environments, { recursive: true, mode: 0o700 });
    chmodSync(this.layout.environments, 0o700);
    await this.host.open();
    const sandboxed = this.capabilities.bwrap !== null;
    const multiUser = sandboxed || this.options.allowUnsandboxedUsers;
    const { chosen } = this.options;
    return {
      kind: 'local',
      summary: sandboxed
        ? `environments are sandboxes on this machine (${chosen}); network: ${this.networkFor(true)}`
        : `environments are PLAIN PROCESSES of this machine's user (${chosen})`,
      warnings: sandboxed
        ? []
        : [
            `There is no working bubblewrap (bwrap), so environments are not kept apart from this machine: ${multiUser ? 'every account can do what this user can' : 'one account only, on loopback only'}. Install it: apt-get install bubblewrap passt slirp4netns iproute2`,
          ],
      multiUser,
      exposable: multiUser,
    };
  }

  async close({ keepTerminals }: { readonly keepTerminals: boolean }): Promise<void> {
    // One that went away by itself took its shells with it.
    if (!keepTerminals)
      await this.host.ask({ op: 'shutdown' }).then(
        () => this.host.gone(),
        () => undefined,
      );
    this.host.close();
  }

  override sessionProcess(): SessionProcess | null {
    const { host } = this;
    if (!host.fronts) return null;
    return {
      call: (message) => host.ask({ op: 'front', message }),
      give: (descriptor) => host.give(descriptor),
      listen: (onMessage, onLost) => host.listen(onMessage, onLost),
    };
  }

  async check(): Promise<void> {
    await this.host.ask({ op: 'hello', version: 0 });
  }

  look(place: Place): Promise<Sighting> {
    return this.host.ask<Sighting>({ op: 'look', environmentId: place.environmentId });
  }

  async start(spec: EnvironmentSpec): Promise<void> {
    const { environmentId, install, incarnation, name, resources, environmentVariables, startupCommands } = spec;
    const network = this.networkFor(spec.soleUser);
    const host: HostSpec = {
      environmentId,
      install,
      incarnation,
      name,
      resources,
      environmentVariables,
      startupCommands,
      network,
    };
    await this.host.ask({ op: 'start', spec: host });
  }

  async stop(
    place: Place,
    options: { readonly incarnation: number; readonly graceMs: number; readonly kill: boolean },
  ): Promise<void> {
    await this.host.ask({ op: 'stop', environmentId: place.environmentId, ...options });
  }

  async destroy(place: Place): Promise<void> {
    await this.host.ask({ op: 'destroy', environmentId: place.environmentId });
    this.readings.delete(place.environmentId);
  }

  list(): Promise<readonly Held[]> {
    const ids = readdirSync(this.layout.environments).filter((name) => /^[0-9a-f]{24}$/.test(name));
    return Promise.resolve(
      ids.map((environmentId) => {
        const install = readState(this.layout, environmentId)?.install ?? null;
        return { environmentId, userId: '', clusterId: null, install };
      }),
    );
  }

  async usage(places: readonly Place[]): Promise<ReadonlyMap<string, Usage>> {
    const environmentIds = places.map(({ environmentId }) => environmentId);
    const answers = await this.host.ask<Readonly<Record<string, HostUsage | null>>>({ op: 'usage', environmentIds });
    const now = Date.now();
    const usages = new Map<string, Usage>();
    for (const [id, answer] of Object.entries(answers)) {
      if (!answer) continue;
      const before = this.readings.get(id);
      this.readings.set(id, { cpuNanos: answer.cpuNanos, at: now });
      const rate = before && now > before.at ? (answer.cpuNanos - before.cpuNanos) / 1e6 / ((now - before.at) / 1000) : 0;
      const [networkRx, networkTx] = answer.network ?? [null, null];
      usages.set(id, {
        cpuMillis: Math.max(0, Math.round(rate)),
        memoryBytes: answer.memoryBytes,
        storageBytes: answer.storageBytes,
        networkRx,
        networkTx,
      });
    }
    return usages;
  }

  async *logs(place: Place, query: LogQuery, signal: AbortSignal): AsyncIterable<LogEvent> {
    const { since, lines, follow } = query;
    const from = query.after === null ? null : Number(query.after);
    const reader = new LogReader(this.layout.log(place.environmentId));
    const wanted: LogLine[] = [];
    const isWanted = ({ timestamp }: LogLine): boolean => since === null || timestamp >= since;
    let newest = 0;
    /** Of the cursor, while its line is kept; 0: not known. */
    let incarnation = 0;
    for await (const slice of reader.news()) {
      newest = slice.at(-1)?.incarnation ?? newest;
      if (from !== null) incarnation = slice.findLast(({ number }) => number <= from)?.incarnation ?? incarnation;
      wanted.push(...slice.filter((line) => (from === null || line.number > from) && isWanted(line)));
      if (from === null) wanted.splice(0, wanted.length - lines);
    }
    if (from !== null && (!Number.isInteger(from) || from < 0 || from > reader.last))
      throw new RuntimeError('invalid', 'Not a cursor of these logs');
    for (const line of from === null || follow ? wanted : wanted.slice(0, lines)) {
      if (from !== null && line.incarnation !== incarnation && incarnation !== 0) yield { type: 'restarted' };
      ({ incarnation } = line);
      yield toEvent(line);
    }
    if (!follow) return;
    yield { type: 'caught_up' };
    incarnation = newest;
    while (!signal.aborted) {
      for await (const slice of reader.news()) {
        for (const line of slice) {
          if (line.incarnation !== incarnation && incarnation !== 0) yield { type: 'restarted' };
          ({ incarnation } = line);
          if (isWanted(line)) yield toEvent(line);
        }
      }
      await delay(FOLLOW_MS, undefined, { signal }).catch(() => undefined); // an abort ends the loop
    }
  }

  async openTerminal(place: Place, { sessionId, cols, rows }: TerminalRequest): Promise<TerminalChannel> {
    await this.host.ask({ op: 'open', environmentId: place.environmentId, sessionId, cols, rows });
    return LocalTerminal.attach(this.host, sessionId);
  }

  async terminals(place: Place): Promise<readonly TerminalRecord[]> {
    const records = await this.host.ask<readonly HostRecord[]>({ op: 'records', environmentId: place.environmentId });
    return records.map((record) => ({
      ...record,
      createdAt: new Date(record.createdAt),
      endedAt: record.endedAt === null ? null : new Date(record.endedAt),
    }));
  }

  async adoptTerminal(place: Place, sessionId: string): Promise<TerminalChannel> {
    const records = await this.terminals(place);
    if (!records.some((record) => record.sessionId === sessionId)) throw new RuntimeError('gone', 'There is no such terminal');
    return LocalTerminal.attach(this.host, sessionId);
  }

  private networkFor(soleUser: boolean): HostSpec['network'] {
    const { network } = this.options;
    const { pasta, slirp4netns, isRoot } = this.capabilities;
    // Started as root, pasta drops its privileges before it joins, and then may not join another user's namespaces.
    const outward = pasta && !isRoot ? 'pasta' : slirp4netns ? 'slirp4netns' : null;
    if (network === 'none') return 'none';
    if (network !== 'host' && outward) return outward;
    if (network === 'pasta') return 'none';
    if (!soleUser) return 'none';
    if (!this.toldOfHostNetwork)
      this.options.log.warn(
        'Environments share the network of this machine, its loopback included, until there is a second account',
      );
    this.toldOfHostNetwork = true;
    return 'host';
  }
}

function toEvent({ number: _number, incarnation: _incarnation, ...entry }: LogLine): LogEvent {
  return entry;
}
