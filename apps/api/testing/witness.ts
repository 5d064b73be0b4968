import { appendFileSync } from 'node:fs';
import { AnswerCheck } from './answer-check';
import { type Json } from '../src/documents/json-schema';

/** What went over the network in this spec and is not as the documents say. */
const faults: string[] = [];
const seen = new Set<string>();

/** In a spec: every test fails whose calls were answered otherwise than documented. Specs that end it otherwise take it. */
export function complain(fault: string): void {
  faults.push(fault);
}

/** Under Jest; shows use these files too. */
const hook = (globalThis as { afterEach?: (check: () => void) => void }).afterEach;
hook?.(() => {
  const all = faults.splice(0);
  if (all.length > 0) throw new Error(`Not as documented:\n${all.slice(0, 20).join('\n')}`);
});

/** Notes what the suite has seen, for `judge-answers`: `operation status code`, or `message direction type`. */
export function record(entry: string): void {
  const file = process.env.DEVPOCKET_RECORD_ANSWERS;
  if (!file || seen.has(entry)) return;
  seen.add(entry);
  appendFileSync(file, `${entry}\n`);
}

/** A `fetch` that judges each answer by the server's own document. */
export function watchedFetch(document: object): typeof fetch {
  const check = new AnswerCheck(document as Json);
  return async (input, init) => {
    const asked = input instanceof Request ? input : null;
    const sent = asked ? await asked.clone().text() : textOf(init?.body);
    const response = await fetch(input, init);
    const { pathname, search } = new URL(asked ? asked.url : (input as string | URL));
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      // It has no end; what it says, its own specs look at.
      record(`${check.find(asked?.method ?? init?.method ?? 'GET', pathname)?.id ?? ''} ${response.status}`);
      return response;
    }
    const text = await response.clone().text();
    const { operation, faults: found } = check.judge({
      method: asked?.method ?? init?.method ?? 'GET',
      url: pathname + search,
      sent: parsed(sent),
      hasBody: sent !== '',
      status: response.status,
      header: (name) => response.headers.get(name),
      body: text === '' ? null : parsed(text),
    });
    found.forEach(complain);
    if (operation !== null) record(`${operation} ${response.status} ${codeOf(text)}`.trim());
    return response;
  };
}

function textOf(body: unknown): string {
  return typeof body === 'string' ? body : body instanceof Uint8Array ? Buffer.from(body).toString() : '';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function codeOf(text: string): string {
  const body = parsed(text);
  return typeof body === 'object' && body !== null && 'code' in body && 'status' in body ? String(body.code) : '';
}
