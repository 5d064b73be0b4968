import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { type EngineSettings } from '../src';
import { addressOf } from '../src/engine-address';

const CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

/** Stands before the engine as one that is reached over TLS and lets in who has a certificate of its authority (`dockerd --tlsverify`). */
export class TlsRelay {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly folder: string,
    private readonly server: Server,
  ) {}

  static async open(target: EngineSettings): Promise<TlsRelay> {
    const folder = mkdtempSync(join(tmpdir(), 'devpocket-tls-'));
    for (const authority of ['own', 'foreign']) {
      mkdirSync(join(folder, authority));
      const file = (name: string): string => join(folder, authority, name);
      const make = (more: readonly string[]): unknown =>
        execFileSync('openssl', ['req', '-x509', ...CURVE, ...more], { stdio: 'ignore' });
      make(['-subj', `/CN=${authority}`, '-keyout', file('ca-key.pem'), '-out', file('ca.pem')]);
      const signed = ['-CA', file('ca.pem'), '-CAkey', file('ca-key.pem'), '-addext', 'basicConstraints=critical,CA:false'];
      const names = ['-subj', '/CN=engine', '-addext', 'subjectAltName=IP:127.0.0.1'];
      make([...signed, ...names, '-keyout', file('server-key.pem'), '-out', file('server-cert.pem')]);
      make([...signed, '-subj', '/CN=client', '-keyout', file('key.pem'), '-out', file('cert.pem')]);
    }
    const own = (name: string): Buffer => readFileSync(join(folder, 'own', name));
    const tls = { ca: own('ca.pem'), cert: own('server-cert.pem'), key: own('server-key.pem') };
    const server = createServer({ ...tls, requestCert: true, rejectUnauthorized: true });
    const relay = new TlsRelay(folder, server);
    const address = addressOf(target);
    server.on('tlsClientError', () => undefined); // it is told by the alert
    server.on('secureConnection', (client) => {
      const engine = address.kind === 'unix' ? connect(address.path) : connect(address.port, address.host);
      for (const socket of [client, engine]) {
        relay.sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          relay.sockets.delete(socket);
          client.destroy();
          engine.destroy();
        });
      }
      client.pipe(engine).pipe(client);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  /** Of the way through it, with the certificates of an authority: the one that it knows, or another. */
  settings(authority: 'own' | 'foreign' = 'own'): EngineSettings {
    return { host: `tcp://127.0.0.1:${this.port}`, tlsVerify: true, certPath: join(this.folder, authority) };
  }

  /** A folder that trusts the engine and proves itself by certificates that the engine does not know. */
  settingsOfStranger(): EngineSettings {
    const folder = join(this.folder, 'stranger');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    execFileSync('cp', [
      join(this.folder, 'own/ca.pem'),
      join(this.folder, 'foreign/cert.pem'),
      join(this.folder, 'foreign/key.pem'),
      folder,
    ]);
    return { ...this.settings(), certPath: folder };
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
    rmSync(this.folder, { recursive: true });
  }
}
