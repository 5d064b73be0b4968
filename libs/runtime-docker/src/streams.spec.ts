import fc from 'fast-check';
import { Demux, type OutputFrame } from './demux';
import { LogPieces } from './log-pieces';
import { files, pack } from './tar';

function framed(channel: 1 | 2, bytes: Buffer): Buffer {
  const head = Buffer.from([channel, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 4);
  return Buffer.concat([head, bytes]);
}

const frames = fc.array(fc.tuple(fc.constantFrom<1 | 2>(1, 2), fc.uint8Array({ minLength: 1, maxLength: 20 })), { maxLength: 8 });

describe('output of a program without a TTY', () => {
  it.each([true, false])('is the same however it is cut (whole frames: %s)', (whole) => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(40)), (sent, cuts) => {
        const stream = Buffer.concat(sent.map(([channel, bytes]) => framed(channel, Buffer.from(bytes))));
        const demux = new Demux(whole);
        const found: OutputFrame[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          found.push(...demux.push(stream.subarray(at, at + cut)));
          at += cut;
        }
        const of = (name: string): string =>
          Buffer.concat(found.filter(({ channel }) => channel === name).map(({ bytes }) => bytes)).toString('hex');
        const expected = (number: 1 | 2): string =>
          Buffer.concat(sent.filter(([one]) => one === number).map(([, bytes]) => Buffer.from(bytes))).toString('hex');
        expect([of('stdout'), of('stderr')]).toEqual([expected(1), expected(2)]);
        if (whole) expect(found).toHaveLength(sent.length);
      }),
    );
  });

  it('is refused when it is none', () => {
    expect(() => [...new Demux(true).push(Buffer.from('HTTP/1.1 500 Oh no'))]).toThrow(/no output of a program/);
  });
});

describe('lines of a log', () => {
  it('are put together of their pieces, one channel beside the other', () => {
    const lines = new LogPieces();
    const take = (channel: 'stdout' | 'stderr', text: string): string[] =>
      [...lines.take({ channel, bytes: Buffer.from(text) })].map(String);
    expect(take('stdout', 'T1 whole\n')).toEqual(['T1 whole']);
    expect(take('stdout', 'T2 first,')).toEqual([]);
    expect(take('stderr', 'T3 other\n')).toEqual(['T3 other']);
    expect(take('stdout', 'T4 second\n')).toEqual(['T2 first,second']);
    expect(take('stdout', 'T5 a\nT6 b\n')).toEqual(['T5 a', 'T6 b']);
    expect(take('stderr', 'T7 end')).toEqual([]);
    expect([...lines.rest()].map(String)).toEqual(['T7 end']);
  });
});

describe('an archive', () => {
  it('gives back the files that were put into it, up to one that is cut off', () => {
    const data = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(512, 'b'), Buffer.alloc(513, 'c')];
    const entries = data.map((one, at) => ({ name: `f${at}`, mode: 0o600, uid: 1000, data: one }));
    const archive = pack([{ name: 'folder/', mode: 0o755, uid: 1000 }, ...entries], new Date());
    expect(files(archive)).toEqual(data);
    expect(files(archive.subarray(0, 3_100))).toEqual(data.slice(0, 3));
  });
});
