import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostClient } from './host-client';
import { FrameReader, HOST_PROTOCOL, type HostRequest, jsonFrame, MOST_FRAME_BYTES } from './host-protocol';
import { Layout } from './layout';

/** A PTY host that answers what it is told to, and is silent to the rest. */
class SilentHost {
  readonly heard: HostRequest['op'][] = [];
  private readonly sockets = new Set<Socket>();
  private server: Server | null = null;

  constructor(private readonly answers: (op: HostRequest['op']) => boolean) {}

  listen(path: string): Promise<void> {
    this.server = createServer((socket) => {
      this.sockets.add(socket);
      const reader = new FrameReader(MOST_FRAME_BYTES.request);
      socket.on('data', (chunk: Buffer) => {
        reader.push(chunk, (frame) => {
          if (frame.kind !== 'json') return;
          const { op, id } = frame.value as HostRequest & { readonly id: number };
          this.heard.push(op);
          if (this.answers(op)) socket.write(jsonFrame({ re: id, ok: { version: HOST_PROTOCOL } }));
        });
      });
    });
    return new Promise((resolve) => this.server?.listen(path, resolve));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server?.close(resolve));
  }
}

describe('a PTY host that hangs', () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'devpocket-host-'));
  });
  afterEach(() => rmSync(dataDir, { recursive: true }));

  const withHost = async (
    answers: (op: HostRequest['op']) => boolean,
    work: (client: HostClient, host: SilentHost) => Promise<void>,
  ) => {
    const layout = new Layout(dataDir);
    const host = new SilentHost(answers);
    await host.listen(layout.hostSocket());
    const client = new HostClient({ layout, bufferBytes: 4096, graceMs: 0, program: null, patienceMs: 50 });
    await work(client, host);
    client.close();
    await host.close();
  };

  it('is unreachable in time, and is asked again', async () => {
    await withHost(
      (op) => op !== 'look',
      async (client, host) => {
        const environmentId = 'a'.repeat(24);
        for (let count = 0; count < 2; count += 1)
          await expect(client.ask({ op: 'look', environmentId })).rejects.toMatchObject({ kind: 'unreachable' });
        expect(await client.ask({ op: 'records', environmentId })).toEqual({ version: HOST_PROTOCOL });
        expect(host.heard).toEqual(['hello', 'look', 'look', 'records']);
      },
    );
  });

  it('does not hold up a server that starts', async () => {
    await withHost(
      () => false,
      async (client) => {
        await expect(client.open()).rejects.toMatchObject({ kind: 'unreachable' });
      },
    );
  });
});

describe('what a PTY host says', () => {
  it('comes whole, in pieces of any size, also when it is long', () => {
    const value = { text: 'x'.repeat(300_000) };
    const stream = Buffer.concat([jsonFrame({ a: 1 }), jsonFrame(value), jsonFrame({ b: 2 })]);
    for (const size of [1_000, 65_536, 262_144, stream.length]) {
      const reader = new FrameReader(MOST_FRAME_BYTES.answer);
      const heard: unknown[] = [];
      for (let at = 0; at < stream.length; at += size)
        reader.push(stream.subarray(at, at + size), (frame) => heard.push(frame.kind === 'json' ? frame.value : frame));
      expect(heard).toEqual([{ a: 1 }, value, { b: 2 }]);
    }
  });

  it('is read no further when it cannot be a host’s, and nothing else ends by it', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-host-'));
    const layout = new Layout(dataDir);
    const closed: Promise<void>[] = [];
    const server = createServer((socket) => {
      closed.push(new Promise((resolve) => socket.on('close', () => resolve())));
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0])));
    });
    await new Promise<void>((resolve) => server.listen(layout.hostSocket(), resolve));
    const client = new HostClient({ layout, bufferBytes: 4096, graceMs: 0, program: null, patienceMs: 50 });
    await expect(client.open()).rejects.toMatchObject({ kind: 'unreachable' });
    await closed[0];
    client.close();
    await new Promise((resolve) => server.close(resolve));
    rmSync(dataDir, { recursive: true });
  });
});
