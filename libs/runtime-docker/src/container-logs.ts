import {
  comparePositions,
  type LogLine,
  type LogPosition,
  LogReader,
  merge,
  positionOf,
  toEntry,
} from '@devpocket/container-runtime';
import { type Clock } from '@devpocket/kernel';
import { type LogEvent, type LogQuery, type Place, RuntimeError } from '@devpocket/runtime';
import { type IncomingMessage } from 'node:http';
import { Demux } from './demux';
import { EngineError, toRuntimeError } from './engine-error';
import { type ContainerSummary } from './engine-objects';
import { type EngineSession } from './engine-session';
import { LogPieces } from './log-pieces';
import { incarnationOf, partOf } from './names';
import { isAlive, isUnborn } from './sight';

/** Asked for beyond what is wanted, so that lines of the first line's nanosecond are counted right. */
const TAIL_SPARE = 100;
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;

interface Range {
  readonly from?: LogPosition | null;
  readonly tail?: number;
  readonly follow?: boolean;
  readonly since?: Date | null;
}

/** The log of an environment over all its incarnations: what was kept of those that are gone, then of what is there. */
export class ContainerLogs {
  constructor(
    private readonly session: EngineSession,
    private readonly clock: Clock,
  ) {}

  /** @throws RuntimeError `invalid` for a foreign cursor, `gone` where there is no environment */
  async *read(place: Place, query: LogQuery, signal: AbortSignal): AsyncIterable<LogEvent> {
    const from = query.after === null ? null : positionOf(query.after);
    if (query.after !== null && !from) throw new RuntimeError('invalid', 'Not a cursor of these logs');
    const { sighting, traces } = await this.session.see(place);
    if (sighting.seen === 'absent') throw new RuntimeError('gone', 'There is no such environment');
    // Behind everything that exists, where nothing does: the incarnation that is there is no news.
    const newest = Math.max(0, sighting.incarnation, ...traces.containers.map(incarnationOf));
    let last = from ?? { incarnation: newest, stage: 0 as const, time: 0n, index: 0 };
    try {
      const lines = from ? this.after(place, from, signal) : await this.tail(place, query, signal);
      let left = query.after !== null && !query.follow ? query.lines : Infinity;
      for await (const line of lines) {
        if (left <= 0) break;
        const restarted = from !== null && line.position.incarnation > last.incarnation;
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
    yield* this.follow(place, last, query.since, signal);
  }

  /** Every line of one container, from the second of `from` on. Of one that is not there any more none. @throws EngineError */
  async *container(one: ContainerSummary, { from, tail, follow, since }: Range, signal: AbortSignal): AsyncIterable<LogLine> {
    if (isUnborn(one)) return;
    const incarnation = incarnationOf(one);
    const stage = partOf(one) === 'startup' ? 0 : 1;
    if (from && (from.incarnation > incarnation || (from.incarnation === incarnation && from.stage > stage))) return;
    const within = from?.incarnation === incarnation && from.stage === stage;
    const second = within ? from.time / 1_000_000_000n : since ? nanosOf(since) / 1_000_000_000n : null;
    const query = {
      stdout: true,
      stderr: true,
      timestamps: true,
      follow: follow ?? false,
      ...(tail === undefined ? {} : { tail: tail + TAIL_SPARE }),
      ...(second === null ? {} : { since: String(second) }),
    };
    const reader = new LogReader(incarnation, stage);
    for await (const raw of this.pieces(one.Id, query, signal)) {
      const line = reader.read(raw);
      if (line && (!from || comparePositions(line.position, from) > 0)) yield line;
    }
  }

  private async *pieces(
    container: string,
    query: Record<string, string | number | boolean>,
    signal: AbortSignal,
  ): AsyncIterable<Buffer> {
    let answer: IncomingMessage;
    try {
      answer = await this.session.engine.stream('GET', `/containers/${container}/logs`, { query, signal });
    } catch (error) {
      // It has gone meanwhile: what was kept tells the rest.
      if (error instanceof EngineError && (error.status === 404 || error.status === 409)) return;
      throw error;
    }
    const demux = new Demux(true);
    const lines = new LogPieces();
    try {
      for await (const chunk of answer) for (const frame of demux.push(chunk as Buffer)) yield* lines.take(frame);
    } catch (error) {
      throw new EngineError(0, error instanceof Error ? error.message : String(error));
    } finally {
      answer.destroy();
    }
    yield* lines.rest();
  }

  /** Kept and present lines behind a position. */
  private async *after(place: Place, from: LogPosition, signal: AbortSignal): AsyncIterable<LogLine> {
    let last = from;
    const isNew = (line: LogLine): boolean => comparePositions(line.position, last) > 0;
    const containers = await this.containers(place);
    const kept = await this.session.state.readLog(place);
    for (const line of kept.filter(isNew)) {
      last = line.position;
      yield line;
    }
    for (const one of containers) {
      for await (const line of this.container(one, { from: last }, signal)) {
        if (!isNew(line)) continue;
        last = line.position;
        yield line;
      }
    }
  }

  /** The last lines, from the newest source backwards until there are enough. */
  private async tail(place: Place, { lines, since }: LogQuery, signal: AbortSignal): Promise<readonly LogLine[]> {
    const { isPodman } = await this.session.identity();
    let found: LogLine[] = [];
    for (const one of [...(await this.containers(place))].reverse()) {
      found = [
        ...(await (isPodman ? this.lastRead(one, lines, since, signal) : this.lastOf(one, lines, since, signal))),
        ...found,
      ];
      if (found.length >= lines) break;
    }
    if (found.length < lines) found = [...(await this.session.state.readLog(place)), ...found];
    const from = since ? nanosOf(since) : null;
    return merge(found)
      .filter(({ position }) => from === null || position.time >= from)
      .slice(-lines);
  }

  private async lastOf(one: ContainerSummary, lines: number, since: Date | null, signal: AbortSignal): Promise<LogLine[]> {
    const part: LogLine[] = [];
    for await (const line of this.container(one, { tail: lines, since }, signal)) part.push(line);
    if (part.length < lines + TAIL_SPARE) return part;
    // Cut off where it may lack lines of the same nanosecond.
    const [first] = part;
    return part.filter(({ position }) => position.time !== first?.position.time);
  }

  /** Podman, asked for the last lines, joins pieces of one to the line before it; and tells the second alone, of which a tail lacks some. */
  private async lastRead(one: ContainerSummary, lines: number, since: Date | null, signal: AbortSignal): Promise<LogLine[]> {
    let part: LogLine[] = [];
    for await (const line of this.container(one, { since }, signal)) {
      part.push(line);
      if (part.length >= 2 * lines + TAIL_SPARE) part = part.slice(-lines);
    }
    return part.slice(-lines);
  }

  /** Goes on for ever: over broken connections, stops and starts. */
  private async *follow(place: Place, from: LogPosition, since: Date | null, signal: AbortSignal): AsyncIterable<LogEvent> {
    let last = from;
    let failures = 0;
    while (!signal.aborted) {
      const changed = this.session.nextChange(place, signal);
      try {
        const containers = await this.containers(place);
        for (const one of containers) {
          for await (const line of this.container(one, { from: last, since, follow: true }, signal)) {
            if (comparePositions(line.position, last) <= 0) continue;
            if (line.position.incarnation > last.incarnation) yield { type: 'restarted' };
            last = line.position;
            yield toEntry(line);
          }
        }
        failures = 0;
        // A stream that ends while its container runs was cut off, or its end is not told yet.
        const goesOn = (await this.containers(place)).some(isAlive);
        await (goesOn ? this.clock.wait(RETRY_MS, signal) : changed);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof EngineError) && !(error instanceof RuntimeError)) throw toRuntimeError(error);
        const pause = Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** failures) * (0.5 + Math.random());
        failures += 1;
        await this.clock.wait(pause, signal).catch(() => undefined); // the abort ends the loop
      }
    }
  }

  /** In the order of their lines. */
  private async containers(place: Place): Promise<readonly ContainerSummary[]> {
    const stageOf = (one: ContainerSummary): number => (partOf(one) === 'startup' ? 0 : 1);
    const found = await this.session.containersOf(place);
    return [...found].sort((a, b) => incarnationOf(a) - incarnationOf(b) || stageOf(a) - stageOf(b));
  }
}

function nanosOf(date: Date): bigint {
  return BigInt(date.getTime()) * 1_000_000n;
}
