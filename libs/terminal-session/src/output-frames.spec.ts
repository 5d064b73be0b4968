import fc from 'fast-check';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { joined, probedPosition, probePayload, wireFrame } from './output-frames';

const parts = fc.array(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  { minLength: 1, maxLength: 3 },
);

describe('an output frame', () => {
  it('has its parts in it, also when they are overwritten afterwards', () => {
    fc.assert(
      fc.property(parts, (pieces) => {
        const expected = Buffer.concat(pieces);
        const { bytes } = joined(pieces);
        for (const piece of pieces) piece.fill(0);
        expect(bytes.equals(expected)).toBe(true);
      }),
    );
  });

  it('is read by another implementation, whatever its length, and the ping behind it', async () => {
    const http = createServer().listen(0, '127.0.0.1');
    await once(http, 'listening');
    const sockets = new WebSocketServer({ server: http, perMessageDeflate: false });
    const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
    const streamed = once(http, 'upgrade');
    const messages: { readonly data: Buffer; readonly binary: boolean }[] = [];
    const probes: (number | null)[] = [];
    client.on('message', (data: Buffer, binary: boolean) => messages.push({ data, binary }));
    client.on('ping', (payload: Buffer) => probes.push(probedPosition(payload)));
    const [, stream] = (await streamed) as [unknown, NodeJS.WritableStream];
    await once(client, 'open');
    const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000, 200_000];
    for (const [index, length] of lengths.entries()) {
      const { bytes, done } = wireFrame(index % 2 === 0, [Buffer.alloc(length, 97 + index)], index % 3 === 0 ? length : null);
      await new Promise((resolve) => stream.write(bytes, resolve));
      done();
    }
    stream.end(wireFrame(true, [Buffer.from('last')], null).bytes);
    await once(client, 'close');
    expect(messages.map(({ data, binary }) => [data.length, data[0], binary])).toEqual([
      ...lengths.map((length, index) => [length, length === 0 ? undefined : 97 + index, index % 2 === 0]),
      [4, 'l'.charCodeAt(0), true],
    ]);
    expect(probes).toEqual(lengths.filter((_, index) => index % 3 === 0));
    sockets.close();
    http.close();
  });

  it('knows its own pings from others', () => {
    expect(probedPosition(probePayload(2 ** 48 - 1))).toBe(2 ** 48 - 1);
    expect(probedPosition(Buffer.from('hello world'))).toBeNull();
  });
});
