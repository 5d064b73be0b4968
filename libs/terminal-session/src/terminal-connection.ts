import { SUBPROTOCOL } from '@devpocket/websocket';
import { type WebSocket } from 'ws';
import { readBinary, readControlText } from './binary.protocol';
import { bufferOf, type FrameIntake } from './frame-intake';
import { type AttachedClient } from './terminal-client';
import { type Refusal } from './session-input';
import { type TerminalSession } from './terminal-session';
import { type ClientMessage, readText } from './terminal.protocol';

/** Pastes of the largest size that a client may have under way before nothing more is read from it. */
const PASTE_SHARE = 4;
/** A screen that is being painted counts as so many bytes that wait. */
const SCREEN_COST = 65_536;

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
      case 'key':
        this.answer(session.typing.key(client, message.press, message.seq), message.seq, 1);
        break;
      case 'paste':
        this.paste(message);
        break;
      case 'paste_cancel':
        this.refuse(session.typing.cancel(client, message.id));
        break;
      case 'screen':
        this.paint();
        break;
      case 'refused':
        this.error(message.code, message.message);
        break;
    }
  }

  /** No await before the session has it: input stays in order. */
  private input({ bytes, seq }: Extract<ClientMessage, { type: 'input' }>): void {
    const { session, client } = this.parts;
    this.answer(session.typing.input(client, bytes, seq), seq, bytes.length);
  }

  private answer(taken: Promise<Refusal | null>, seq: number | null, bytes: number): void {
    const { client, intake, failed } = this.parts;
    const answered = taken.then((refusal) => {
      if (refusal) this.refuse(refusal);
      else if (seq !== null) client.send({ type: 'input_ack', seq });
    }, failed);
    intake.during(bytes, answered);
    if (intake.backlogged) client.wake();
  }

  private paste({ id, text }: Extract<ClientMessage, { type: 'paste' }>): void {
    const { session, client, intake, failed } = this.parts;
    const pasted = session.typing.paste(client, id, text).then((result) => {
      if ('code' in result) this.refuse(result, { id });
      else client.send({ type: 'paste_done', id, bytes: result.bytes, ...(result.cancelled ? { cancelled: true } : {}) });
    }, failed);
    // A part of it: a `paste_cancel` behind it must be read while it is under way.
    intake.during(text.length / PASTE_SHARE, pasted);
  }

  private paint(): void {
    const { session, client, intake } = this.parts;
    const painted = session
      .paint(client)
      .catch(() => this.error('screen_unavailable', 'The screen cannot be had now; try again'));
    intake.during(SCREEN_COST, painted);
  }

  private refuse(refusal: Refusal | null, extra: Readonly<Record<string, unknown>> = {}): void {
    if (!refusal) return;
    const { code, message, expected } = refusal;
    this.error(code, message, { ...(expected === undefined ? {} : { expected }), ...extra });
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
