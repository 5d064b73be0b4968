import { bufferOf } from '@devpocket/terminal-session';
import { CLOSE, closeWithError, comeBack, COMPRESS_BYTES } from '@devpocket/websocket';
import { type RawData, type WebSocket } from 'ws';

/** Bytes that may wait on one side before the other is read no further; the windows of session and client are inside it. */
const MOST_WAITING_BYTES = 1_048_576;
const PROBE_MS = 5_000;
/** Probes in a row without a sign of life. */
const MOST_SILENT = 3;

/** A client's socket and that of the replica where its shell lives become one: frames, pings, pace and end. */
export function relay(client: WebSocket, upstream: WebSocket): void {
  pass(client, upstream, false);
  pass(upstream, client, true);
  // The session measures the way to its client by pings, all of it.
  upstream.on('ping', (data: Buffer) => {
    if (client.readyState === client.OPEN) client.ping(data);
  });
  client.on('pong', (data: Buffer) => {
    if (upstream.readyState === upstream.OPEN) upstream.pong(data);
  });
  client.on('close', (code, reason) => {
    upstream.resume();
    if (mayBeSent(code)) upstream.close(code, reason);
    else upstream.terminate();
  });
  upstream.on('close', (code, reason) => {
    if (mayBeSent(code)) {
      client.close(code, reason);
      client.resume();
    } else closeWithError(client, CLOSE.restarting, 'restarting', 'The server restarts; connect again', comeBack());
  });
  watch(upstream);
  upstream.resume();
}

function pass(from: WebSocket, to: WebSocket, compresses: boolean): void {
  from.on('message', (data: RawData, binary: boolean) => {
    if (to.readyState !== to.OPEN) return;
    const bytes = bufferOf(data);
    to.send(bytes, { binary, compress: compresses && bytes.length >= COMPRESS_BYTES }, () => {
      if (from.isPaused && to.bufferedAmount <= MOST_WAITING_BYTES / 2) from.resume();
    });
    if (to.bufferedAmount > MOST_WAITING_BYTES) from.pause();
  });
}

/** A machine that is gone says nothing. One that waits for this side to read is not asked. */
function watch(upstream: WebSocket): void {
  let silent = 0;
  const heard = (): void => {
    silent = 0;
  };
  upstream.on('message', heard).on('pong', heard).on('ping', heard);
  const probe = setInterval(() => {
    if (upstream.readyState !== upstream.OPEN || upstream.isPaused) return;
    silent += 1;
    if (silent > MOST_SILENT) upstream.terminate();
    else upstream.ping();
  }, PROBE_MS).unref();
  upstream.on('close', () => clearInterval(probe));
}

/** RFC 6455 §7.4: some codes only ever say that there was none. */
function mayBeSent(code: number): boolean {
  return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}
