import { type LocatedEnvironment } from '@devpocket/environments';
import { type SessionCall } from '@devpocket/terminal-session';
import { EventEmitter } from 'node:events';
import { WebSocket } from 'ws';

/** As a call without its socket. */
type About<Call> = Call extends { readonly id: number } ? Omit<Call, 'id'> : never;

/**
 * A client's socket that is in another process, as this one sees it: it can be told something, closed, and heard to close. It passes for a
 * `WebSocket` where no more is asked of one.
 */
export class HandedSocket extends EventEmitter {
  readonly CONNECTING = WebSocket.CONNECTING;
  readonly OPEN = WebSocket.OPEN;
  readonly CLOSING = WebSocket.CLOSING;
  readonly CLOSED = WebSocket.CLOSED;
  readyState: WebSocket['readyState'] = WebSocket.OPEN;
  /** Messages go to the other process as JSON; it knows in which subprotocol they go on. */
  readonly protocol = '';
  readonly bufferedAmount = 0;
  /** That process looks whether its client is there: here nothing is heard of it. */
  readonly isPaused = true;

  constructor(
    readonly environment: LocatedEnvironment,
    private readonly call: (call: About<SessionCall>) => Promise<unknown>,
  ) {
    super();
  }

  /** Something of the gateway's that only this kind of socket can. @throws DomainError @throws RuntimeError */
  ask(call: About<SessionCall>): Promise<unknown> {
    return this.call(call);
  }

  send(text: string, _options: object, sent?: () => void): void {
    this.tell({ call: 'send', message: JSON.parse(text) as Record<string, unknown> });
    sent?.();
  }

  close(code: number, reason: string): void {
    if (this.readyState !== this.OPEN) return;
    this.readyState = this.CLOSING;
    this.tell({ call: 'close', code, reason });
  }

  terminate(): void {
    if (this.readyState === this.CLOSED) return;
    this.tell({ call: 'terminate' });
  }

  /** Its client is closing it. */
  closing(): void {
    if (this.readyState === this.OPEN) this.readyState = this.CLOSING;
  }

  /** It is closed, or its process is gone. */
  closed(): void {
    if (this.readyState === this.CLOSED) return;
    this.readyState = this.CLOSED;
    this.emit('close');
  }

  pause(): void {
    return;
  }

  resume(): void {
    return;
  }

  ping(): void {
    return;
  }

  private tell(call: About<SessionCall>): void {
    this.call(call).catch(() => undefined); // a process that is gone has closed it
  }
}
