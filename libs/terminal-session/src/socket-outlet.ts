import { COMPRESS_BYTES, sendMessage, SUBPROTOCOL } from '@devpocket/websocket';
import { type Writable } from 'node:stream';
import { type WebSocket } from 'ws';
import { outputHead } from './binary.protocol';
import { type FrameIntake } from './frame-intake';
import { jsonOutput } from './json-output';
import { joined, probedPosition, probePayload, wireFrame } from './output-frames';
import { type Outlet } from './terminal-client';

/** What nobody reads is not kept beyond this: more than a frame intake lets a client ask for. */
const MOST_UNREAD_BYTES = 16 * 1_048_576;

/** One client's socket, in its subprotocol. */
export class SocketOutlet implements Outlet {
  private readonly binary: boolean;
  private readonly compressing: boolean;

  /** @param stream what the socket speaks over: output that is not compressed goes there by the shortest way, in one write */
  constructor(
    private readonly socket: WebSocket,
    private readonly stream: Writable,
    private readonly intake: FrameIntake,
  ) {
    this.binary = socket.protocol === SUBPROTOCOL.binary;
    this.compressing = socket.extensions !== '';
  }

  send(message: Readonly<Record<string, unknown>>): void {
    if (this.usable()) sendMessage(this.socket, message);
  }

  output(parts: readonly Buffer[], seq: number, probe: boolean, sent: () => void): void {
    if (!this.usable()) return;
    const { binary, socket, stream } = this;
    const message = binary ? [outputHead(seq), ...parts] : jsonOutput(whole(parts), seq);
    const { bytes, done } = this.compressing ? joined(message) : wireFrame(binary, message, probe ? seq : null);
    const written = (error?: Error | null): void => {
      if (error) return; // the socket may still have it
      done();
      sent();
    };
    if (!this.compressing) {
      stream.write(bytes, written);
      return;
    }
    socket.send(bytes, { binary, compress: bytes.length >= COMPRESS_BYTES }, written);
    if (probe) this.probe(seq);
  }

  probe(seq: number): void {
    if (this.usable()) this.socket.ping(probePayload(seq));
  }

  /** @param heard told the position of each probe that the client answers */
  onAnswer(heard: (seq: number) => void): void {
    this.socket.on('pong', (payload: Buffer) => {
      const seq = probedPosition(payload);
      if (seq !== null) heard(seq);
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

function whole(parts: readonly Buffer[]): Buffer {
  const [first] = parts;
  return parts.length === 1 && first ? first : Buffer.concat(parts);
}
