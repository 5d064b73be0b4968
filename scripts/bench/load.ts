import { Agent, request } from 'node:http';

export interface LoadResult {
  readonly perSecond: number;
  readonly p50: number;
  /** Milliseconds. */
  readonly p99: number;
  readonly failures: number;
}

export interface Call {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends the same call from `connections` kept-alive connections, one at a time each, for `seconds`. */
export async function load(call: Call, connections: number, seconds: number): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const times: number[] = [];
  let failures = 0;
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      const sent = performance.now();
      if (!(await once(call, agent))) failures += 1;
      times.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  const took = (performance.now() - begun) / 1000;
  agent.destroy();
  times.sort((a, b) => a - b);
  return { perSecond: times.length / took, p50: quantile(times, 0.5), p99: quantile(times, 0.99), failures };
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

function once(call: Call, agent: Agent): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const sent = request(call.url, { method: call.method, headers: call.headers, agent }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode !== undefined && response.statusCode < 300));
      response.once('error', reject);
    });
    sent.once('error', reject);
    sent.end(call.body);
  });
}
