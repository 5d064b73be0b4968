import { type Clock } from '@devpocket/kernel';
import { CLOSE, closeWithError } from '@devpocket/websocket';
import { randomBytes } from 'node:crypto';
import { type Writable } from 'node:stream';
import { type WebSocket } from 'ws';
import { FrameIntake } from './frame-intake';
import { type TerminalQuery } from './query.protocol';
import { SocketOutlet } from './socket-outlet';
import { TerminalConnection } from './terminal-connection';
import { type TerminalSession } from './terminal-session';

/** What a client is told of the environment of its shell. */
export interface WelcomedTo {
  readonly id: string;
  readonly name: string;
  readonly template: string;
  readonly status: string;
}

export interface AttachParts {
  readonly socket: WebSocket;
  /** What the socket speaks over. */
  readonly stream: Writable;
  readonly session: TerminalSession;
  readonly query: TerminalQuery;
  readonly environment: WelcomedTo;
  readonly clock: Clock;
  /** @see ConnectionParts.renew */
  readonly renew: (token: string) => Promise<boolean>;
  /** @see ConnectionParts.failed */
  readonly failed: (error: unknown) => void;
}

/** How a return to a session went: with all output, with a part missing, or not at all; null: it was no return. */
export type Resumed = 'complete' | 'gap' | 'bad_after' | null;

/** Puts a socket on a session, tells its client so and begins to listen to it; or closes it. */
export function attachClient({ socket, stream, session, query, environment, clock, renew, failed }: AttachParts): Resumed {
  const clientId = query.clientId ?? randomBytes(8).toString('hex');
  const intake = new FrameIntake(socket, clock);
  const outlet = new SocketOutlet(socket, stream, intake);
  const { acks, view, after } = query;
  const attachment = session.attach({ clientId, cols: query.cols, rows: query.rows, after, acks, view, outlet });
  if (!attachment) {
    closeWithError(socket, CLOSE.notFound, 'bad_after', 'after lies beyond the end of the output');
    return 'bad_after';
  }
  const { client, seq, gap, replayUntil, inputSeq } = attachment;
  const { cols, rows } = session.describe();
  const { id, name, template, status } = environment;
  outlet.send({
    type: 'welcome',
    message: `Connected to ${name}`,
    environment: { id, name, template, status },
    session_id: session.id,
    client_id: clientId,
    resumed: query.sessionId !== null,
    gap,
    seq,
    replay_until: replayUntil,
    input_seq: inputSeq,
    cols,
    rows,
    server_time: clock.now().toISOString(),
  });
  socket.on('close', () => session.detach(client));
  outlet.onAnswer((position) => client.heard(position));
  session.begin(client);
  new TerminalConnection({ socket, session, client, intake, renew, failed }).begin();
  if (query.sessionId === null) return null;
  return gap > 0 ? 'gap' : 'complete';
}
