import { type AnswerCheck } from '../../apps/api/testing/answer-check';
import { isObject } from '../../apps/api/src/documents/json-schema';
import { type Callers } from './callers';
import { ACTS_FOR, type Call, type CallerName, type PathValue } from './requests';

const ANSWER_MS = 30_000;
const KEPT = 64;
const FAMILIES = ['environments', 'users', 'sessions', 'api-keys', 'templates', 'clusters', 'terminals', 'orphans'];
const MOST_LINE = 8_000;
/** Members of answers that later calls can name. */
const TOLD = /^(id|session_id|name|ticket|token|refresh_token|cursor)$/;

/** Sends calls, and judges each answer. */
export class Sender {
  sent = 0;
  /** How often each operation answered each status. */
  readonly seen = new Map<string, number>();
  /** Newest first, by the part of the path before the hole. */
  private readonly told = new Map<string, string[]>();

  constructor(
    private readonly url: string,
    private readonly callers: Callers,
    private readonly check: AnswerCheck,
    private readonly rootId: string,
  ) {}

  /** @returns what is wrong with the answer */
  async send(call: Call): Promise<readonly string[]> {
    const token = await this.callers.tokenOf(call.caller);
    const path = this.pathOf(call);
    const headers = new Headers(call.headers);
    if (call.type !== '') headers.set('content-type', call.type);
    if (token !== null) headers.set('authorization', `Bearer ${token}`);
    this.sent += 1;
    try {
      const response = await fetch(this.url + path, {
        method: call.method,
        headers,
        redirect: 'manual',
        signal: AbortSignal.timeout(ANSWER_MS),
        ...(call.body === null ? {} : { body: call.body }),
      });
      return await this.judge(call, path, token, response);
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
      return [`${call.method} ${path}: no answer (${String(error)}${cause})`];
    }
  }

  private async judge(call: Call, path: string, token: string | null, response: Response): Promise<readonly string[]> {
    const { status } = response;
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      await response.body?.cancel();
      this.count(call, status);
      return [];
    }
    const text = await response.text();
    const body = text === '' ? null : parsed(text);
    const { operation, faults } = this.check.judge({
      method: call.method,
      url: path,
      sent: typeof call.body === 'string' ? parsed(call.body.replace(/^\ufeff/, '')) : undefined,
      hasBody: call.body !== null && call.body.length > 0,
      status,
      header: (name) => response.headers.get(name),
      body,
    });
    this.count(call, status);
    if (status === 401 && token !== null) this.callers.ended(call.caller, token);
    this.remember(path, body, call.caller);
    // A hole that is filled with `me` or nothing is another operation, or none: it is judged as what it is.
    const failed = status >= 500 && !(status === 503 && operation !== null) ? [`${call.method} ${path} → ${status} ${text}`] : [];
    return [...failed, ...faults];
  }

  private count({ operation }: Call, status: number): void {
    const key = `${operation} ${status}`;
    this.seen.set(key, (this.seen.get(key) ?? 0) + 1);
  }

  private pathOf({ path, params, query, caller }: Call): string {
    const filled = path.replace(/\{(\w+)\}/g, (_hole, name: string, at: number) =>
      encodeURIComponent(this.valueOf(params[name], path.slice(0, at), caller).toWellFormed()),
    );
    const search = new URLSearchParams(query.map(([name, value]) => [name, value.toWellFormed()])).toString();
    // A line that is longer than Node reads is answered by Node (431), and says nothing of the API.
    const line = search === '' ? filled : `${filled}?${search}`;
    return line.slice(0, MOST_LINE).replace(/%.?$/, '');
  }

  private valueOf(value: PathValue | undefined, before: string, caller: CallerName): string {
    if (!value) return 'x';
    if ('text' in value) return value.text === '.' || value.text === '..' || value.text === '' ? 'x' : value.text;
    const known = this.told.get(poolOf(before, value.of ?? caller)) ?? [];
    return known[value.known % Math.max(1, known.length)] ?? '0123456789abcdef01234567';
  }

  private remember(path: string, body: unknown, caller: CallerName): void {
    const pool = poolOf(path, caller);
    const kept = this.told.get(pool) ?? [];
    for (const row of Array.isArray(body) ? body.slice(0, 20) : [body, isObject(body) ? body.environment : null]) {
      for (const [name, value] of Object.entries(isObject(row) ? row : {})) {
        const wanted = path.includes('/templates') ? name === 'name' : TOLD.test(name) && name !== 'name';
        if (wanted && typeof value === 'string' && value !== this.rootId && !kept.includes(value)) kept.unshift(value);
      }
    }
    this.told.set(pool, kept.slice(0, KEPT));
  }
}

/** What the ids of a path belong to, its last word before a hole, and who knows them. */
function poolOf(path: string, caller: CallerName): string {
  const words = (path.split('?')[0] ?? '').split('/').filter((word) => /^[a-z-]+$/.test(word) && word !== 'me');
  const family = words.findLast((word) => FAMILIES.includes(word)) ?? '';
  return family === 'templates' ? family : `${family} ${ACTS_FOR[caller] ?? caller}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
