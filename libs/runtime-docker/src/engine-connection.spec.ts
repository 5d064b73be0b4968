import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TlsRelay } from '../testing';
import { Engine } from './engine';
import { type EngineSettings } from './engine-address';

describe('the way to an engine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-engine-'));
  let plain: Server;
  let port: number;
  let relay: TlsRelay;
  beforeAll(async () => {
    plain = createServer((_asked, answer) => answer.end('OK'));
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    ({ port } = plain.address() as AddressInfo);
    relay = await TlsRelay.open({ host: `tcp://127.0.0.1:${port}`, tlsVerify: false, certPath: null });
  });
  afterAll(async () => {
    await relay.close();
    await new Promise((resolve) => plain.close(resolve));
    rmSync(folder, { recursive: true });
  });
  const ping = async (settings: EngineSettings): Promise<string> => {
    try {
      const engine = await Engine.open(settings);
      return String(await engine.get('/_ping', { timeoutMs: 5_000 }));
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };

  it('is TLS with certificates of both sides', async () => {
    expect(await ping(relay.settings())).toBe('OK');
  });

  it.each<[string, () => EngineSettings, RegExp]>([
    [
      'an engine that somebody else vouches for',
      () => relay.settings('foreign'),
      /certificate .*not signed by .*ca\.pem.* DOCKER_CERT_PATH/,
    ],
    [
      'a certificate that the engine does not know',
      () => relay.settingsOfStranger(),
      /refuses the certificate .* DOCKER_CERT_PATH/,
    ],
    [
      'TLS to what does not speak it',
      () => ({ ...relay.settings(), host: `tcp://127.0.0.1:${port}` }),
      /does not speak TLS.* DOCKER_TLS_VERIFY/,
    ],
    ['no certificates where they should be', () => ({ ...relay.settings(), certPath: folder }), /DOCKER_CERT_PATH.*ca\.pem/],
    [
      'a name that is not in its certificate',
      () => ({ ...relay.settings(), host: `tcp://localhost:${relay.port}` }),
      /localhost/,
    ],
    [
      'a socket that is not there',
      () => ({ host: `unix://${folder}/docker.sock`, tlsVerify: false, certPath: null }),
      /nothing listens at .*docker\.sock/,
    ],
    [
      'a port that nobody listens on',
      () => ({ host: 'tcp://127.0.0.1:1', tlsVerify: false, certPath: null }),
      /nothing listens at 127\.0\.0\.1:1/,
    ],
  ])('says what is wrong: %s', async (_what, settings, words) => {
    expect(await ping(settings())).toMatch(words);
  });
});
