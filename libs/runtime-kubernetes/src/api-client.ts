import { type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { ApiError } from './api-error';
import { type Credentials } from './credentials';
import { type KubeList, type KubeObject, type KubeStatus, type Manifest } from './kube-objects';

/** Server-side apply keeps what others set in other fields, and gives a field of ours back when we stop naming it. */
export const FIELD_MANAGER = 'devpocket';

const CALL_MS = 15_000;
const LIST_PAGE = 500;
const MOST_ERROR_BYTES = 65_536;
const BUSY_RETRIES = 3;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface CallOptions {
  readonly query?: Query;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

interface Call extends CallOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
}

const PLURALS: Readonly<Record<string, string>> = { NetworkPolicy: 'networkpolicies' };
const CLUSTER_WIDE = new Set(['Namespace', 'Node']);

/** The path of one object, or without a name of all of its kind. */
export function pathOf(kind: string, apiVersion: string, namespace: string | null, name?: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = namespace === null || CLUSTER_WIDE.has(kind) ? '' : `/namespaces/${namespace}`;
  const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/**
 * Calls of one cluster's API over kept connections, every one of them bounded in time and safe to send twice. Answers are
 * what the API says; errors are `ApiError` and hold nothing of the request.
 */
export class ApiClient {
  constructor(readonly credentials: Credentials) {}

  get<T>(path: string, options: CallOptions & { readonly accept?: string } = {}): Promise<T> {
    return this.call<T>('GET', path, options);
  }

  /** For what is asked by being made, and kept by nobody. */
  create<T>(path: string, body: unknown, options: CallOptions = {}): Promise<T> {
    return this.call<T>('POST', path, { ...options, body });
  }

  /** Makes the object, or changes the fields that are named here; the answer is the object as it stands. */
  apply<T extends KubeObject>(manifest: Manifest, options: CallOptions = {}): Promise<T> {
    const { kind, apiVersion, metadata } = manifest;
    return this.call<T>('PATCH', pathOf(kind, apiVersion, metadata.namespace ?? null, metadata.name), {
      ...options,
      query: { fieldManager: FIELD_MANAGER, force: true },
      body: manifest,
      contentType: 'application/apply-patch+yaml',
    });
  }

  /** Sets annotations that no apply of ours names, and that it therefore leaves alone. */
  annotate<T extends KubeObject>(path: string, annotations: Readonly<Record<string, string>>): Promise<T> {
    const body = { metadata: { annotations } };
    return this.call<T>('PATCH', path, { body, contentType: 'application/merge-patch+json' });
  }

  /** @returns the object as it stands while it goes, or null when it is gone or was not there */
  async delete<T extends KubeObject>(
    path: string,
    options: CallOptions & { readonly graceSeconds?: number; readonly uid?: string } = {},
  ): Promise<T | null> {
    const { graceSeconds, uid, ...rest } = options;
    const body = {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      propagationPolicy: 'Background',
      ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
      ...(uid === undefined ? {} : { preconditions: { uid } }),
    };
    try {
      const answer = await this.call<T & KubeStatus>('DELETE', path, { ...rest, body });
      return answer.kind === 'Status' ? null : answer;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** Every object of a list, page by page, and the version at which it stood. */
  async list<T extends KubeObject>(
    path: string,
    options: CallOptions & { readonly accept?: string } = {},
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    const items: T[] = [];
    for (let after: string | undefined; ;) {
      const query: Query = { ...options.query, limit: LIST_PAGE, continue: after };
      const page: KubeList<T> = await this.call('GET', path, { ...options, query });
      items.push(...(page.items ?? []));
      after = page.metadata?.continue || undefined;
      if (after === undefined) return { items, resourceVersion: page.metadata?.resourceVersion ?? '' };
    }
  }

  /** An answer that goes on for long; the caller reads it to its end or destroys it. */
  async stream(path: string, options: CallOptions = {}): Promise<IncomingMessage> {
    const response = await this.send('GET', path, { ...options, accept: '*/*' }, true);
    if ((response.statusCode ?? 0) >= 400) throw await errorOf(response);
    return response;
  }

  close(): void {
    this.credentials.agent.destroy();
    this.credentials.streamAgent.destroy();
  }

  private async call<T>(method: string, path: string, call: Call): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const response = await this.send(method, path, call, false);
        if ((response.statusCode ?? 0) >= 400) throw await errorOf(response);
        return JSON.parse((await read(response, Infinity)).toString('utf8')) as T;
      } catch (error) {
        if (!(error instanceof ApiError) || attempt > BUSY_RETRIES || !(await mayPass(error, attempt, call.signal)))
          throw plain(error);
      }
    }
  }

  private async send(method: string, path: string, call: Call, long: boolean): Promise<IncomingMessage> {
    const { server, agent, streamAgent } = this.credentials;
    const url = new URL(server.pathname.replace(/\/$/, '') + path, server);
    for (const [name, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const body = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const headers = {
      ...(await this.credentials.headers()),
      accept: call.accept ?? 'application/json',
      'user-agent': FIELD_MANAGER,
      ...(body ? { 'content-type': call.contentType ?? 'application/json', 'content-length': body.length } : {}),
    };
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), call.timeoutMs ?? CALL_MS);
    const signal = call.signal ? AbortSignal.any([call.signal, timeout.signal]) : timeout.signal;
    try {
      return await new Promise<IncomingMessage>((resolve, reject) => {
        const sent = httpsRequest(url, { method, headers, signal, agent: long ? streamAgent : agent }, (response) => {
          // A stream is bounded by its reader; any other answer must be complete in time.
          if (long) clearTimeout(timer);
          else response.once('close', () => clearTimeout(timer));
          resolve(response);
        });
        sent.once('error', (error) => {
          clearTimeout(timer);
          const told = timeout.signal.aborted ? `${server.host} did not answer in time` : error.message;
          reject(new ApiError(0, told, sent.reusedSocket && !timeout.signal.aborted ? 'ConnectionReused' : null));
        });
        sent.end(body);
      });
    } catch (error) {
      call.signal?.throwIfAborted();
      throw error;
    }
  }
}

/** A kept connection that had just been closed, or a busy server: the call was not made, or may be made again. */
async function mayPass(error: ApiError, attempt: number, signal: AbortSignal | undefined): Promise<boolean> {
  if (error.status === 0) return error.reason === 'ConnectionReused' && attempt === 1;
  if (error.status !== 429) return false;
  const waitMs = Math.min(5_000, (error.retryAfterSeconds ?? 1) * 1_000) * (0.5 + Math.random());
  await new Promise((resolve) => setTimeout(resolve, waitMs).unref());
  return signal?.aborted !== true;
}

function plain(error: unknown): Error {
  if (error instanceof ApiError) return error;
  return new ApiError(0, error instanceof Error ? error.message : String(error));
}

export async function read(response: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > most) break;
  }
  return Buffer.concat(chunks);
}

/** What an answer with an error status says. */
export async function errorOf(response: IncomingMessage): Promise<ApiError> {
  const status = response.statusCode ?? 0;
  const text = await read(response, MOST_ERROR_BYTES).then(
    (bytes) => bytes.toString('utf8'),
    () => '',
  );
  const after = Number(response.headers['retry-after']);
  const told = parseStatus(text);
  const message = told?.message ?? (text.trim().slice(0, 300) || `The API answered ${status}`);
  return new ApiError(status, message, told?.reason ?? null, Number.isFinite(after) ? after : null);
}

function parseStatus(text: string): KubeStatus | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'message' in value ? (value as KubeStatus) : null;
  } catch {
    return null;
  }
}
