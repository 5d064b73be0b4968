import { Clock } from '@devpocket/kernel';
import { Broadcast } from '@devpocket/shared-state';
import { Injectable, Logger } from '@nestjs/common';
import { type Environment } from './environment';
import { type EnvironmentEvent, type News } from './environment.events';
import { EventLogRepository } from './event-log.repository';
import { HistoryRepository } from './history.repository';
import { deletedNews, idleNews } from './news.policy';
import { NewsRepository } from './news.repository';

const CHANNEL = 'environments.event';

/**
 * Tells what has been written: into the history and the log of its user first, where it outlives every crash, then to whoever
 * listens. What changes an environment carries its news in the same write (`untold`); so whoever dies before telling it leaves it
 * to the next, and a teller that comes second tells nothing twice.
 */
@Injectable()
export class EnvironmentEvents {
  private readonly logger = new Logger('EnvironmentEvents');
  /** By user: one after the other, so that listeners hear in order too, and only other replicas compete for a number. */
  private readonly telling = new Map<string, Promise<void>>();

  constructor(
    private readonly history: HistoryRepository,
    private readonly log: EventLogRepository,
    private readonly news: NewsRepository,
    private readonly broadcast: Broadcast,
    private readonly clock: Clock,
  ) {}

  /**
   * Hears of events on every replica, as they are told; best effort: the log is what loses none.
   * @param missed some may have gone unheard
   * @returns the way to stop listening
   */
  subscribe(listener: (event: EnvironmentEvent) => void, missed?: () => void): () => void {
    return this.broadcast.subscribe(
      CHANNEL,
      (message) => {
        const event = fromMessage(message);
        if (event) listener(event);
      },
      missed,
    );
  }

  /** Tells what is untold of an environment; what cannot be told now is told a little later, by whoever finds it. */
  async tell(environment: Environment): Promise<void> {
    try {
      await this.tellAll(environment);
    } catch (error) {
      this.logger.warn({ err: error, environment_id: environment.id }, 'News could not be told; it is told later');
    }
  }

  /** As `tell`, but says when it cannot. */
  async tellAll(environment: Environment): Promise<void> {
    const { userId, untold } = environment;
    if (untold.length === 0) return;
    await this.inOrder(userId, async () => {
      for (const each of untold) await this.tellOne(each);
      await this.news.told(environment);
    });
  }

  /** The end, which comes after all else: to be told before the environment is forgotten. */
  async deleted(environment: Environment): Promise<void> {
    await this.tellAll(environment);
    await this.inOrder(environment.userId, () => this.tellOne(deletedNews(environment, this.clock.now())));
    await this.history.removeAll(environment.id);
  }

  async idleWarning(environment: Environment, stopAt: Date, minutesLeft: number): Promise<void> {
    const news = idleNews(environment, stopAt, minutesLeft, this.clock.now());
    await this.inOrder(environment.userId, () => this.tellOne(news));
  }

  private async tellOne(news: News): Promise<void> {
    const { event } = news;
    if (event.type === 'environment.status') {
      const { environmentId, statusVersion, timestamp, status, reason, message } = event;
      await this.history.append(environmentId, statusVersion, { timestamp, type: status, reason, message });
    }
    if ((await this.log.append(news)) !== null) this.broadcast.publish(CHANNEL, event);
  }

  private async inOrder(userId: string, act: () => Promise<void>): Promise<void> {
    const work = (this.telling.get(userId) ?? Promise.resolve()).then(act);
    const over = work.catch(() => undefined); // told to whoever asked for it
    this.telling.set(userId, over);
    try {
      await work;
    } finally {
      if (this.telling.get(userId) === over) this.telling.delete(userId);
    }
  }
}

/** A broadcast between processes is JSON, in which a time is a text. */
function fromMessage(message: unknown): EnvironmentEvent | null {
  if (typeof message !== 'object' || message === null || !('environmentId' in message)) return null;
  const event = message as EnvironmentEvent;
  const times = event.type === 'environment.idle_warning' ? { stopAt: new Date(event.stopAt) } : {};
  return { ...event, ...times, timestamp: new Date(event.timestamp) };
}
