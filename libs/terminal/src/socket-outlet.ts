import { COMPRESS_BYTES, sendMessage, SUBPROTOCOL } from '@devpocket/http';
import { type WebSocket } from 'ws';
import { BINARY_HEAD, writeOutputHead } from './binary.protocol';
import { frameBuffer, type FrameBuffer } from './frame-buffers';
import { type FrameIntake } from './frame-intake';
import { jsonOutput } from './json-output';
import { type Outlet } from './terminal-client';

/** What nobody reads is not kept beyond this: more than a frame intake lets a client ask for. */
const MOST_UNREAD_BYTES = 16 * 1_048_576;
const PROBE_BYTES = 6;

/** One client's socket, in its subprotocol. */
export class SocketOutlet implements Outlet {
  private readonly binary: boolean;

  constructor(
    private readonly socket: WebSocket,
    private readonly intake: FrameIntake,
  ) {
    this.binary = socket.protocol === SUBPROTOCOL.binary;
  }

  send(message: Readonly<Record<string, unknown>>): void {
    if (this.usable()) sendMessage(this.socket, message);
  }

  output(parts: readonly Buffer[], seq: number, sent: () => void): void {
    if (!this.usable()) return;
    const { bytes, done } = this.binary ? binaryOutput(parts, seq) : jsonOutput(whole(parts), seq);
    this.socket.send(bytes, { binary: this.binary, compress: bytes.length >= COMPRESS_BYTES }, (error) => {
      if (error) return; // the socket may still have it
      done();
      sent();
    });
  }

  probe(seq: number): void {
    if (!this.usable()) return;
    const payload = Buffer.allocUnsafe(PROBE_BYTES);
    payload.writeUIntBE(seq, 0, PROBE_BYTES);
    this.socket.ping(payload);
  }

  /** @param heard told the position of each probe that the client answers */
  onAnswer(heard: (seq: number) => void): void {
    this.socket.on('pong', (payload: Buffer) => {
      if (payload.length === PROBE_BYTES) heard(payload.readUIntBE(0, PROBE_BYTES));
    });
  }

  close(code: number, reason: string): void {
    this.socket.close(code, reason);
  }

  isDeaf(): boolean {
    return this.intake.backlogged;
  }

  private usable(): boolean {
    const { socket } = this;
    if (socket.readyState !== socket.OPEN) return false;
    if (socket.bufferedAmount <= MOST_UNREAD_BYTES) return true;
    socket.terminate();
    return false;
  }
}

function binaryOutput(parts: readonly Buffer[], seq: number): FrameBuffer {
  const frame = frameBuffer(BINARY_HEAD + parts.reduce((sum, part) => sum + part.length, 0));
  writeOutputHead(frame.bytes, seq);
  let at = BINARY_HEAD;
  for (const part of parts) at += part.copy(frame.bytes, at);
  return frame;
}

function whole(parts: readonly Buffer[]): Buffer {
  const [first] = parts;
  return parts.length === 1 && first ? first : Buffer.concat(parts);
}
