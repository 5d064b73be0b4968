import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, request as httpsRequest, type Server } from 'node:https';
import { type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Credentials } from '../src/credentials';

export interface ApiCall {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
}

/**
 * What becomes of a call: it is passed on; it never arrives; it takes effect and its answer is lost; either of these without a word
 * (`hold`), so that the caller waits; or an answer with this status comes from here.
 */
export type Fate = 'pass' | 'lose_call' | 'lose_answer' | 'hold_call' | 'hold_answer' | number;

/** Stands between a driver and the API: counts every call, loses, holds or refuses some, and can be gone altogether. */
export class ApiProxy {
  readonly calls: ApiCall[] = [];
  /** Those whose callers wait. */
  readonly held: ApiCall[] = [];
  /** What callers prove themselves with here; upstream it is another. */
  readonly token = randomBytes(24).toString('hex');
  /** Decides on each call. */
  fate: (call: ApiCall) => Fate = () => 'pass';
  /** Hears of each answer of the API. */
  onAnswer: (call: ApiCall, status: number) => void = () => undefined;
  private readonly sockets = new Set<Socket>();
  private readonly watches = new Set<Socket>();
  private port = 0;

  private constructor(
    private readonly server: Server,
    private readonly certificate: string,
    private readonly upstream: Credentials,
  ) {
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('error', () => undefined); // cut off on purpose
      socket.on('close', () => {
        this.sockets.delete(socket);
        this.watches.delete(socket);
      });
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void this.pass(request, response));
    server.on('upgrade', (request: IncomingMessage, socket: Socket) => void this.upgrade(request, socket));
  }

  static async open(upstream: Credentials): Promise<ApiProxy> {
    const { key, cert } = selfSigned();
    const proxy = new ApiProxy(createServer({ key, cert }), cert, upstream);
    await proxy.start();
    return proxy;
  }

  /** For a driver that is to go through here. */
  get kubeConfig(): string {
    return JSON.stringify({
      'current-context': 'proxy',
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy', namespace: this.upstream.namespace } }],
      clusters: [
        {
          name: 'proxy',
          cluster: {
            server: `https://127.0.0.1:${this.port}`,
            'certificate-authority-data': Buffer.from(this.certificate).toString('base64'),
          },
        },
      ],
      users: [{ name: 'proxy', user: { token: this.token } }],
    });
  }

  /** Ends every connection, or those that watch; new ones are taken. */
  cut(which: 'all' | 'watches' = 'all'): void {
    for (const socket of which === 'all' ? this.sockets : this.watches) socket.destroy();
  }

  /** The API is gone. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.cut();
    await closed;
  }

  /** The API is back at the same address. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.server.listen(this.port, '127.0.0.1', () => {
        this.port = (this.server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  private async pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = this.note(request);
    const fate = this.fate(call);
    if (typeof fate === 'number') {
      request.resume();
      refuse(response, fate);
      return;
    }
    if (fate === 'lose_call' || fate === 'hold_call') {
      if (fate === 'hold_call') this.held.push(call);
      else request.socket.destroy();
      return;
    }
    if (isWatch(call)) this.watches.add(request.socket);
    const sent = await this.forward(call, request);
    response.on('close', () => sent.destroy());
    sent.on('error', () => request.socket.destroy());
    sent.on('response', (answer) => {
      if (fate === 'lose_answer' || fate === 'hold_answer') {
        if (fate === 'hold_answer') this.held.push(call);
        else request.socket.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('error', () => response.destroy());
      answer.pipe(response);
      response.flushHeaders();
    });
    request.pipe(sent);
  }

  private async upgrade(request: IncomingMessage, socket: Socket): Promise<void> {
    const call = this.note(request);
    const fate = this.fate(call);
    if (fate !== 'pass') {
      if (typeof fate === 'number') socket.end(`HTTP/1.1 ${fate} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      else if (!fate.startsWith('hold')) socket.destroy();
      return;
    }
    const sent = await this.forward(call, request);
    const head = (answer: IncomingMessage): string => {
      const headers = Array.from({ length: answer.rawHeaders.length / 2 }, (_, at) =>
        [answer.rawHeaders[2 * at], answer.rawHeaders[2 * at + 1]].join(': '),
      );
      return [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`, ...headers, '', ''].join('\r\n');
    };
    sent.on('error', () => socket.destroy());
    sent.on('response', (answer) => {
      socket.write(head(answer));
      answer.pipe(socket);
    });
    sent.on('upgrade', (answer, upstream, first) => {
      socket.write(head(answer));
      socket.write(first);
      upstream.on('error', () => socket.destroy());
      upstream.on('close', () => socket.destroy());
      socket.on('close', () => upstream.destroy());
      upstream.pipe(socket);
      socket.pipe(upstream);
    });
    sent.end();
  }

  private note({ method = '', url = '' }: IncomingMessage): ApiCall {
    const call = { method, url };
    this.calls.push(call);
    return call;
  }

  private async forward(call: ApiCall, request: IncomingMessage): Promise<ReturnType<typeof httpsRequest>> {
    const { authorization: _dropped, host: _host, ...headers } = request.headers;
    const sent = httpsRequest(new URL(request.url ?? '/', this.upstream.server), {
      method: request.method,
      headers: { ...headers, ...(await this.upstream.headers()) },
      agent: this.upstream.streamAgent,
    });
    const hear = ({ statusCode = 0 }: IncomingMessage): void => this.onAnswer(call, statusCode);
    return sent.on('response', hear).on('upgrade', hear);
  }
}

export function isWatch({ url }: ApiCall): boolean {
  return url.includes('watch=true');
}

/** As the API says it. */
function refuse(response: ServerResponse, code: number): void {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code,
    reason: 'Refused',
    message: `refused here with ${code}`,
  };
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(status));
}

function selfSigned(): { readonly key: string; readonly cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-proxy-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const made = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  rmSync(folder, { recursive: true });
  return made;
}
