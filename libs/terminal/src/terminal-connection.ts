import { SUBPROTOCOL } from '@devpocket/http';
import { type WebSocket } from 'ws';
import { readBinary, readControlText } from './binary.protocol';
import { bufferOf, type FrameIntake } from './frame-intake';
import { type AttachedClient } from './terminal-client';
import { type TerminalSession } from './terminal-session';
import { type ClientMessage, readText } from './terminal.protocol';

export interface ConnectionParts {
  readonly socket: WebSocket;
  readonly session: TerminalSession;
  readonly client: AttachedClient;
  readonly intake: FrameIntake;
  /** @returns whether the token is this socket's user's @throws DomainError for one that is not valid */
  readonly renew: (token: string) => Promise<boolean>;
  /** Ends the socket for what should not happen. */
  readonly failed: (error: unknown) => void;
}

/** What one client says, in order, and the answers to it. */
export class TerminalConnection {
  private readonly binary: boolean;

  constructor(private readonly parts: ConnectionParts) {
    this.binary = parts.socket.protocol === SUBPROTOCOL.binary;
  }

  begin(): void {
    const { intake, failed } = this.parts;
    intake.begin((data, isBinary) => this.receive(this.read(bufferOf(data), isBinary)), failed);
  }

  private read(frame: Buffer, isBinary: boolean): ClientMessage {
    if (!this.binary) return readText(frame.toString('utf8'));
    return isBinary ? readBinary(frame) : readControlText(frame.toString('utf8'));
  }

  private receive(message: ClientMessage): void {
    const { session, client } = this.parts;
    switch (message.type) {
      case 'input':
        this.input(message);
        break;
      case 'resize':
        session.resize(client, message.cols, message.rows);
        break;
      case 'ping':
        client.send({ type: 'pong', ...(message.id === undefined ? {} : { id: message.id }) });
        break;
      case 'ack':
        client.ack(message.seq);
        break;
      case 'control':
        session.control(client, message.action);
        break;
      case 'auth':
        this.renew(message.token);
        break;
      case 'refused':
        this.error(message.code, message.message);
        break;
    }
  }

  /** No await before the session has it: input stays in order. */
  private input({ bytes, seq }: Extract<ClientMessage, { type: 'input' }>): void {
    const { session, client, intake, failed } = this.parts;
    const taken = session.input(client, bytes, seq).then((refusal) => {
      if (refusal)
        this.error(refusal.code, refusal.message, refusal.expected === undefined ? {} : { expected: refusal.expected });
      else if (seq !== null) client.send({ type: 'input_ack', seq });
    }, failed);
    intake.during(bytes.length, taken);
    if (intake.backlogged) client.wake();
  }

  private renew(token: string): void {
    const renewed = this.parts.renew(token).then(
      (own) => {
        if (!own) this.error('token_invalid', 'The token is another user’s');
      },
      () => this.error('token_invalid', 'The token is not valid'),
    );
    this.parts.intake.during('all', renewed);
  }

  private error(code: string, message: string, extra: Readonly<Record<string, unknown>> = {}): void {
    this.parts.client.send({ type: 'error', code, message, ...extra });
  }
}
