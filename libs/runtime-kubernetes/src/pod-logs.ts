import { type Clock } from '@devpocket/kernel';
import { type LogEvent, type LogQuery, type Place, RuntimeError } from '@devpocket/runtime';
import { ApiError, toRuntimeError } from './api-error';
import { type ApiClient } from './api-client';
import { type Claim, type ContainerStatus, type Pod } from './kube-objects';
import { type LogArchive } from './log-archive';
import {
  comparePositions,
  type LogLine,
  type LogPosition,
  LogReader,
  positionOf,
  secondOf,
  toEntry,
} from '@devpocket/container-runtime';
import { CONTAINER, incarnationOf, STARTUP_CONTAINER } from './names';
import { mainOf, startupOf, type Traces } from './sight';
import { linesOf, type WatchCache } from './watch-cache';

/** Asked for beyond what is wanted, so that lines of the first line's nanosecond are counted right. */
const TAIL_SPARE = 100;
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const STAGES = [0, 1] as const;

type Stage = (typeof STAGES)[number];

interface Scope {
  readonly api: ApiClient;
  readonly pods: WatchCache<Pod>;
  readonly claims: WatchCache<Claim>;
  traces(place: Place): Promise<Traces>;
}

/** The log of an environment over all its incarnations: what was saved of those that ended, then what runs. */
export class PodLogs {
  constructor(
    private readonly scope: Scope,
    private readonly archive: LogArchive,
    private readonly clock: Clock,
  ) {}

  /** @throws RuntimeError `invalid` for a foreign cursor, `gone` where there is no environment */
  async *read(place: Place, query: LogQuery, signal: AbortSignal): AsyncIterable<LogEvent> {
    const from = query.after === null ? null : positionOf(query.after);
    if (query.after !== null && !from) throw new RuntimeError('invalid', 'Not a cursor of these logs');
    const { pods, claim } = await this.scope.traces(place);
    if (!claim && pods.length === 0) throw new RuntimeError('gone', 'There is no such environment');
    let last = from;
    try {
      const lines = from ? this.after(place, from, signal) : await this.tail(place, query, signal);
      let left = query.after !== null && !query.follow ? query.lines : Infinity;
      for await (const line of lines) {
        if (left <= 0) break;
        const restarted = last !== null && from !== null && line.position.incarnation > last.incarnation;
        last = line.position;
        if (restarted) yield { type: 'restarted' };
        if (query.since && line.position.time < nanosOf(query.since)) continue;
        left -= 1;
        yield toEntry(line);
      }
    } catch (error) {
      if (signal.aborted) return;
      throw toRuntimeError(error);
    }
    if (!query.follow) return;
    yield { type: 'caught_up' };
    yield* this.follow(place, last ?? this.now(place), query.since, signal);
  }

  /** Every line of one container, from the second of `from` on. Without such a container none. */
  async *container(
    pod: Pod,
    stage: Stage,
    options: {
      readonly from?: LogPosition | null;
      readonly tail?: number;
      readonly follow?: boolean;
      readonly since?: Date | null;
    },
    signal: AbortSignal,
  ): AsyncIterable<LogLine> {
    const status = stage === 0 ? startupOf(pod) : mainOf(pod);
    if (!hasBegun(status)) return;
    const incarnation = incarnationOf(pod);
    const { from, since } = options;
    if (from && (from.incarnation > incarnation || (from.incarnation === incarnation && from.stage > stage))) return;
    const within = from?.incarnation === incarnation && from.stage === stage;
    const sinceTime = within ? secondOf(from.time) : since ? secondOf(nanosOf(since)) : undefined;
    const query = {
      container: stage === 0 ? STARTUP_CONTAINER : CONTAINER,
      timestamps: true,
      ...(options.follow ? { follow: true } : {}),
      ...(options.tail === undefined ? {} : { tailLines: options.tail + TAIL_SPARE }),
      ...(sinceTime === undefined ? {} : { sinceTime }),
    };
    const path = `/api/v1/namespaces/${pod.metadata?.namespace ?? ''}/pods/${pod.metadata?.name ?? ''}/log`;
    const reader = new LogReader(incarnation, stage);
    try {
      for await (const raw of linesOf(await this.scope.api.stream(path, { query, signal }))) {
        const line = reader.read(raw);
        if (line && (!from || comparePositions(line.position, from) > 0)) yield line;
      }
    } catch (error) {
      // The pod or its container has gone meanwhile: what was saved tells the rest.
      if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return;
      throw error instanceof ApiError ? error : new ApiError(0, error instanceof Error ? error.message : String(error));
    }
  }

  /** Saved and present lines behind a position. */
  private async *after(place: Place, from: LogPosition, signal: AbortSignal): AsyncIterable<LogLine> {
    let last = from;
    const isNew = (line: LogLine): boolean => comparePositions(line.position, last) > 0;
    for (const line of await this.archive.read(place)) {
      if (!isNew(line)) continue;
      last = line.position;
      yield line;
    }
    for (const pod of this.pods(place)) {
      for (const stage of STAGES) {
        for await (const line of this.container(pod, stage, { from: last }, signal)) {
          if (!isNew(line)) continue;
          last = line.position;
          yield line;
        }
      }
    }
  }

  /** The last lines, from the newest source backwards until there are enough. */
  private async tail(place: Place, { lines, since }: LogQuery, signal: AbortSignal): Promise<readonly LogLine[]> {
    let found: LogLine[] = [];
    for (const pod of [...this.pods(place)].reverse()) {
      for (const stage of [...STAGES].reverse()) {
        if (found.length >= lines) return found.slice(-lines);
        const part: LogLine[] = [];
        for await (const line of this.container(pod, stage, { tail: lines, since }, signal)) part.push(line);
        // Cut off where it may lack lines of the same nanosecond.
        const [first] = part;
        const whole =
          part.length < lines + TAIL_SPARE ? part : part.filter(({ position }) => position.time !== first?.position.time);
        found = [...whole, ...found];
      }
    }
    if (found.length < lines) {
      const [first] = found;
      const saved = await this.archive.read(place);
      found = [...saved.filter((line) => !first || comparePositions(line.position, first.position) < 0), ...found];
    }
    const from = since ? nanosOf(since) : null;
    return found.filter(({ position }) => from === null || position.time >= from).slice(-lines);
  }

  /** Goes on for ever: over broken connections, stops and starts. */
  private async *follow(place: Place, from: LogPosition, since: Date | null, signal: AbortSignal): AsyncIterable<LogEvent> {
    let last = from;
    let failures = 0;
    while (!signal.aborted) {
      const changed = this.nextChange(place, signal);
      const pods = this.pods(place);
      try {
        if (pods.length === 0) {
          for (const line of await this.archive.read(place)) {
            if (comparePositions(line.position, last) <= 0) continue;
            last = line.position;
            yield toEntry(line);
          }
        }
        for (const pod of pods) {
          for (const stage of STAGES) {
            for await (const line of this.container(pod, stage, { from: last, since, follow: true }, signal)) {
              if (comparePositions(line.position, last) <= 0) continue;
              if (line.position.incarnation > last.incarnation) yield { type: 'restarted' };
              last = line.position;
              yield toEntry(line);
            }
          }
        }
        failures = 0;
        // A stream that ends while its container runs was cut off, or its end is not told yet.
        const goesOn = this.pods(place).some((pod) => mainOf(pod)?.state?.running ?? startupOf(pod)?.state?.running);
        await (goesOn ? this.clock.wait(RETRY_MS, signal) : changed);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError)) throw toRuntimeError(error);
        const pause = Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** failures) * (0.5 + Math.random());
        failures += 1;
        await this.clock.wait(pause, signal).catch(() => undefined); // the abort ends the loop
      }
    }
  }

  private pods(place: Place): readonly Pod[] {
    return [...this.scope.pods.of(place.environmentId)].sort((a, b) => incarnationOf(a) - incarnationOf(b));
  }

  /** Behind everything that exists, where nothing does: the incarnation that is there is no news. */
  private now(place: Place): LogPosition {
    const { pods, claims } = this.scope;
    const there = [...pods.of(place.environmentId), ...claims.of(place.environmentId)].map(incarnationOf);
    return { incarnation: Math.max(0, ...there), stage: 0, time: 0n, index: 0 };
  }

  private nextChange(place: Place, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        unsubscribe();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const unsubscribe = this.scope.pods.subscribe((key) => {
        if (key === place.environmentId) done();
      });
      signal.addEventListener('abort', done);
    });
  }
}

function hasBegun(status: ContainerStatus | null): boolean {
  return status?.state?.running !== undefined || status?.state?.terminated !== undefined;
}

function nanosOf(date: Date): bigint {
  return BigInt(date.getTime()) * 1_000_000n;
}
