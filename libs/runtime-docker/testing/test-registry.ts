import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { type Engine } from '../src/engine';
import { pack } from '../src/tar';

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';
const CHUNK = 65_536;
/** The specification's words for a refusal. */
const WORDS: Readonly<Record<number, readonly [string, string]>> = {
  401: ['UNAUTHORIZED', 'authentication required'],
  404: ['MANIFEST_UNKNOWN', 'manifest unknown'],
};

/** What the registry does with a request for a layer: how many bytes of it go out, how fast, and whether they are right. */
export interface Manner {
  /** 200: as it should be. Others are answered to requests for images. */
  status: number;
  /** 0: as fast as it goes. */
  bytesPerSecond: number;
  /** The next so many layers are cut off in the middle. */
  cuts: number;
  corrupt: boolean;
}

/** A registry (OCI Distribution Specification) on this machine with one image: a base that the engine has, and layers of noise on it. */
export class TestRegistry {
  readonly manner: Manner = { status: 200, bytesPerSecond: 0, cuts: 0, corrupt: false };
  /** Digests of layers that were asked for, and those of which all went out. */
  readonly asked: string[] = [];
  readonly given: string[] = [];
  private readonly blobs = new Map<string, Buffer>();
  private manifest = Buffer.alloc(0);
  private server: Server | null = null;

  /** @param layers sizes in bytes */
  static async open(engine: Engine, base: string, layers: readonly number[]): Promise<TestRegistry> {
    const registry = new TestRegistry();
    await registry.make(engine, base, layers);
    const server = createServer((asked, answer) => void registry.serve(asked, answer).catch(() => answer.destroy()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    registry.server = server;
    return registry;
  }

  image(name = 'noise'): string {
    return `127.0.0.1:${(this.server?.address() as AddressInfo).port}/${name}:1`;
  }

  async close(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise((resolve) => this.server?.close(resolve));
  }

  private async make(engine: Engine, base: string, sizes: readonly number[]): Promise<void> {
    const saved = entriesOf(await bytesOf(engine, `/images/${base}/get`));
    const [{ Config, Layers }] = JSON.parse(String(saved.get('manifest.json'))) as [{ Config: string; Layers: string[] }];
    const config = JSON.parse(String(saved.get(Config))) as { rootfs: object; history: object[] };
    const noise = sizes.map((size, at) => {
      const data = randomBytes(size);
      return pack([{ name: `noise-${at}`, mode: 0o644, uid: 0, data }], new Date(0));
    });
    const tars = [...Layers.map((name) => saved.get(name) ?? Buffer.alloc(0)), ...noise];
    const layers = tars.map((tar) => {
      const bytes = gzipSync(tar, { level: 1 });
      return { mediaType: LAYER, size: bytes.length, digest: this.keep(bytes) };
    });
    const whole = Buffer.from(
      JSON.stringify({
        ...config,
        rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
        history: tars.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'test' })),
      }),
    );
    const about = { mediaType: CONFIG, size: whole.length, digest: this.keep(whole) };
    this.manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: about, layers }));
  }

  private keep(bytes: Buffer): string {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return digest;
  }

  private async serve({ method, url = '' }: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { status } = this.manner;
    if (status === 401) answer.setHeader('www-authenticate', 'Basic realm="test"');
    if (status !== 200 && !(status !== 401 && url === '/v2/')) {
      answer.writeHead(status, { 'content-type': 'application/json' });
      const [code, message] = WORDS[status] ?? ['UNKNOWN', 'unknown error'];
      answer.end(JSON.stringify({ errors: [{ code, message }] }));
      return;
    }
    if (url === '/v2/') return void answer.writeHead(200).end();
    if (url.includes('/manifests/')) {
      const head = { 'content-type': MANIFEST, 'docker-content-digest': digestOf(this.manifest) };
      answer.writeHead(200, { ...head, 'content-length': this.manifest.length });
      return void answer.end(method === 'HEAD' ? undefined : this.manifest);
    }
    const digest = url.split('/').at(-1) ?? '';
    const blob = this.blobs.get(digest);
    if (!blob) return void answer.writeHead(404).end();
    answer.writeHead(200, { 'content-length': blob.length });
    if (method === 'HEAD') return void answer.end();
    await this.give(digest, blob, answer);
  }

  private async give(digest: string, blob: Buffer, answer: ServerResponse): Promise<void> {
    const { manner } = this;
    this.asked.push(digest);
    const isLayer = blob[0] === 0x1f;
    const isCut = isLayer && manner.cuts > 0;
    if (isCut) manner.cuts -= 1;
    const bytes = Buffer.from(blob);
    if (manner.corrupt && isLayer) bytes.write('wrong', Math.floor(bytes.length / 2));
    const end = isCut ? Math.floor(bytes.length / 2) : bytes.length;
    for (let at = 0; at < end; at += CHUNK) {
      if (answer.destroyed) return;
      answer.write(bytes.subarray(at, Math.min(end, at + CHUNK)));
      if (manner.bytesPerSecond > 0 && isLayer) await delay((1000 * CHUNK) / manner.bytesPerSecond);
    }
    if (isCut) return void answer.destroy();
    this.given.push(digest);
    answer.end();
  }
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function bytesOf(engine: Engine, path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await engine.stream('GET', path)) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Regular files of a tar archive by name. */
function entriesOf(archive: Buffer): ReadonlyMap<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const name = archive.toString('latin1', at, at + 100).replace(/\0.*$/, '');
    const size = parseInt(archive.toString('latin1', at + 124, at + 136), 8);
    found.set(name, archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return found;
}
