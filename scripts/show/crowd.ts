import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** Asks without end, each time over a new connection, as new clients would. */
export class Crowd {
  answered = 0;
  readonly failed: string[] = [];
  private readonly stopper = new AbortController();
  private readonly done: Promise<unknown>;

  constructor(private readonly url: string) {
    this.done = Promise.all(Array.from({ length: 4 }, () => this.run()));
  }

  async stop(): Promise<void> {
    this.stopper.abort();
    await this.done;
  }

  private async run(): Promise<void> {
    while (!this.stopper.signal.aborted) {
      const said = await this.ask();
      if (said === '200') this.answered += 1;
      else this.failed.push(said);
      await delay(20);
    }
  }

  private ask(): Promise<string> {
    return new Promise((resolve) => {
      const sent = request(`${this.url}/health`, { agent: false, timeout: 5_000 }, (response) => {
        response.resume().on('end', () => resolve(String(response.statusCode)));
        response.on('error', (error) => resolve(error.message));
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('error', (error) => resolve(error.message));
      sent.end();
    });
  }
}
