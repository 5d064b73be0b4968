import { type Home } from '@devpocket/shared-state';
import { readError } from '@devpocket/terminal-session';
import { Injectable } from '@nestjs/common';
import { WebSocket } from 'ws';
import {
  CALL_PATH,
  CONTENT_HEADER,
  type Handshake,
  MISDIRECTED,
  SEAL_HEADER,
  SOCKET_PATH,
  type TerminalCall,
  writeHandshake,
} from './replica-calls';
import { ReplicaSeal } from './replica-seal';

/** A replica that lives answers in the time of a look at a runtime. */
const CALL_MS = 10_000;
const HANDSHAKE_MS = 2_000;
/** More than a frame of a client, whose own edge has a limit. */
const MOST_FRAME_BYTES = 32 * 1_048_576;

export type Elsewhere = Extract<Home, { readonly here: false }>;

/** It does not answer, goes just now, or has it no more: who asks again may be told of another. */
export class ReplicaGone extends Error {
  constructor({ replica, address }: Elsewhere, cause: unknown) {
    super(`The replica ${replica} at ${address} is not there`, { cause });
    this.name = 'ReplicaGone';
  }
}

/** Asks other replicas for what lives there. */
@Injectable()
export class ReplicaClient {
  constructor(private readonly seals: ReplicaSeal) {}

  /** @throws ReplicaGone @throws DomainError that the other one answers with */
  async call(home: Elsewhere, call: TerminalCall): Promise<unknown> {
    const body = JSON.stringify(call);
    const answer = await fetch(`http://${home.address}${CALL_PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', [SEAL_HEADER]: this.seals.seal(home.replica, CALL_PATH, body) },
      body,
      signal: AbortSignal.timeout(CALL_MS),
    }).then(
      async (response) => ({ status: response.status, text: await response.text() }),
      (error: unknown) => Promise.reject(new ReplicaGone(home, error)),
    );
    if (answer.status === 200) return JSON.parse(answer.text) as unknown;
    if (answer.status === 400) throw readError(answer.text);
    throw new ReplicaGone(home, answer.status === MISDIRECTED ? 'it has it no more' : `status ${answer.status}`);
  }

  /** A socket of the other replica's, in the subprotocol of the client's. What pings come on it, its client has to answer. @throws ReplicaGone */
  open(home: Elsewhere, handshake: Handshake, protocol: string): Promise<WebSocket> {
    const content = writeHandshake(handshake);
    const socket = new WebSocket(`ws://${home.address}${SOCKET_PATH}`, protocol === '' ? [] : [protocol], {
      headers: {
        [CONTENT_HEADER]: Buffer.from(content).toString('base64url'),
        [SEAL_HEADER]: this.seals.seal(home.replica, SOCKET_PATH, content),
      },
      perMessageDeflate: false,
      autoPong: false,
      handshakeTimeout: HANDSHAKE_MS,
      maxPayload: MOST_FRAME_BYTES,
    });
    return new Promise((resolve, reject) => {
      socket.once('open', () => {
        // Before anything comes: whoever gets it has to listen first.
        socket.pause();
        resolve(socket);
      });
      socket.on('error', (error) => reject(new ReplicaGone(home, error)));
    });
  }
}
