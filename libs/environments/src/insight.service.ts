import { type Principal } from '@devpocket/access';
import { Clock, DomainError, type Page, type PageRequest } from '@devpocket/kernel';
import { type LogEntry, RuntimeError, RuntimeRegistry } from '@devpocket/runtime';
import { Injectable } from '@nestjs/common';
import { type Environment } from './environment';
import { placeOf } from './environment-specs';
import { EnvironmentEvents } from './environment-events';
import { EnvironmentsService } from './environments.service';
import { type HistoryEntry, HistoryRepository, type MetricSample } from './history.repository';

const MOST_POINTS = 500;
const HOUR_MS = 3_600_000;

/** What an environment did and used: logs, history, metrics. */
@Injectable()
export class InsightService {
  constructor(
    private readonly environments: EnvironmentsService,
    private readonly history: HistoryRepository,
    private readonly told: EnvironmentEvents,
    private readonly runtimes: RuntimeRegistry,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError `not_found | unavailable | validation_error` */
  async logs(
    principal: Principal,
    id: string,
    query: { readonly lines: number; readonly since: Date | null; readonly after: string | null },
  ): Promise<readonly LogEntry[]> {
    const environment = await this.environments.get(principal, id);
    const entries: LogEntry[] = [];
    try {
      const driver = this.runtimes.get(environment.runtimeKind);
      for await (const event of driver.logs(placeOf(environment), { ...query, follow: false }, new AbortController().signal)) {
        if (event.type === 'log') entries.push(event);
      }
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      if (error.kind === 'gone') return [];
      if (error.kind === 'invalid')
        throw DomainError.invalid({ field: 'after', code: 'invalid_cursor', message: 'is not a cursor of these logs' });
      throw new DomainError('unavailable', 'unavailable', 'The runtime does not answer; try again', { cause: error });
    }
    return entries;
  }

  async events(principal: Principal, id: string, page: PageRequest): Promise<Page<HistoryEntry>> {
    // Who has seen a status finds it in the history, whoever else was about to tell it.
    await this.told.tell(await this.environments.get(principal, id));
    return this.history.list(id, page);
  }

  async metrics(
    principal: Principal,
    id: string,
    hours: number,
  ): Promise<{ readonly environment: Environment; readonly samples: readonly MetricSample[] }> {
    const environment = await this.environments.get(principal, id);
    const samples = await this.history.samplesSince(id, new Date(this.clock.millis() - hours * HOUR_MS));
    return { environment, samples: thin(samples, MOST_POINTS) };
  }
}

/** At most `most` points: neighbours are averaged; counters keep their last value. */
export function thin(samples: readonly MetricSample[], most: number): readonly MetricSample[] {
  const size = Math.ceil(samples.length / most);
  if (size <= 1) return samples;
  const points: MetricSample[] = [];
  for (let at = 0; at < samples.length; at += size) {
    const group = samples.slice(at, at + size);
    const last = group[group.length - 1];
    if (!last) break;
    points.push({
      ...last,
      cpu: mean(group, 'cpu'),
      memory: mean(group, 'memory'),
      storage: mean(group, 'storage'),
      connections: Math.max(...group.map(({ connections }) => connections)),
    });
  }
  return points;
}

function mean(group: readonly MetricSample[], member: 'cpu' | 'memory' | 'storage'): number | null {
  const values = group.map((sample) => sample[member]).filter((value) => value !== null);
  return values.length === 0 ? null : Math.round((values.reduce((sum, value) => sum + value, 0) / values.length) * 100) / 100;
}
