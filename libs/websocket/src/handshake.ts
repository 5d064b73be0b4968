import { type Duplex } from 'node:stream';

/** A problem document (RFC 9457), as far as its answer's head repeats it. */
export interface HandshakeProblem {
  readonly title: string;
  readonly status: number;
  readonly request_id: string;
  /** Seconds. */
  readonly retry_after?: number;
}

/** Answers a handshake that is not taken as any request is, and ends its connection. */
export function refuseHandshake(stream: Duplex, problem: HandshakeProblem): void {
  const body = Buffer.from(JSON.stringify(problem));
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    'Connection: close',
    'Content-Type: application/problem+json',
    `Content-Length: ${body.length}`,
    `X-Request-Id: ${problem.request_id}`,
    'Sec-WebSocket-Version: 13',
    ...(problem.retry_after === undefined ? [] : [`Retry-After: ${problem.retry_after}`]),
  ];
  // A client that does not close its half would be held for ever: nothing else looks after an upgrade's connection.
  stream.once('finish', () => stream.destroy());
  stream.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
}
