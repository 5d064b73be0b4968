import fc from 'fast-check';
import { readBinary, readControlText } from './binary.protocol';
import { readQuery } from './query.protocol';
import { MOST_INPUT_BYTES, readText } from './terminal.protocol';

describe('a text frame', () => {
  it.each([
    ['ls\n', { type: 'input', seq: null }],
    ['[1]', { type: 'input', seq: null }],
    ['{broken', { type: 'input', seq: null }],
    ['{"type":"input","data":"ä","seq":2}', { type: 'input', bytes: Buffer.from('ä'), seq: 2 }],
    ['{"type":"input","data":"ä","seq":1}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"input"}', { type: 'refused', code: 'bad_message' }],
    ['{"data":"x"}', { type: 'refused', code: 'bad_message' }],
    ['{"type":1}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"resize","cols":80,"rows":24,"more":1}', { type: 'resize', cols: 80, rows: 24 }],
    ['{"type":"resize","cols":0,"rows":24}', { type: 'refused', code: 'bad_resize' }],
    ['{"type":"resize","cols":80.5,"rows":24}', { type: 'refused', code: 'bad_resize' }],
    ['{"type":"resize","cols":80,"rows":1001}', { type: 'refused', code: 'bad_resize' }],
    ['{"type":"ping","id":7}', { type: 'ping', id: 7 }],
    ['{"type":"ack","seq":-1}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"control","action":"grab"}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"screen"}', { type: 'screen' }],
    ['{"type":"key","key":"ArrowUp"}', { type: 'key', seq: null, press: { key: 'ArrowUp', ctrl: false, keypad: false } }],
    [
      '{"type":"key","key":"7","ctrl":true,"alt":true,"shift":true,"meta":true,"location":3,"seq":9}',
      { type: 'key', seq: 9, press: { key: '7', ctrl: true, alt: true, shift: true, meta: true, keypad: true } },
    ],
    ['{"type":"key"}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"key","key":"a","ctrl":"yes"}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"key","key":"a","seq":0}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"paste","id":"1","data":"x"}', { type: 'paste', id: '1', text: 'x' }],
    ['{"type":"paste","id":7,"data":""}', { type: 'paste', id: 7, text: '' }],
    ['{"type":"paste","data":"x"}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"paste","id":"1"}', { type: 'refused', code: 'bad_message' }],
    [`{"type":"paste","id":"1","data":"${'é'.repeat(524_289)}"}`, { type: 'refused', code: 'input_too_large' }],
    ['{"type":"paste_cancel","id":"1"}', { type: 'paste_cancel', id: '1' }],
    ['{"type":"paste_cancel","id":""}', { type: 'refused', code: 'bad_message' }],
    ['{"type":"dance"}', { type: 'refused', code: 'unknown_type' }],
  ])('%s is read', (text, message) => {
    expect(readText(text)).toMatchObject(message);
  });

  it('is refused when its input is too large, counted in bytes', () => {
    const data = 'ä'.repeat(MOST_INPUT_BYTES / 2);
    expect(readText(JSON.stringify({ type: 'input', data })).type).toBe('input');
    expect(readText(JSON.stringify({ type: 'input', data: `${data}x` }))).toMatchObject({
      type: 'refused',
      code: 'input_too_large',
    });
  });

  it('never makes the reader fail, whatever it holds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(typeof readText(text).type).toBe('string');
      }),
    );
  });
});

describe('a binary frame', () => {
  const input = (seq: number, bytes: string): Buffer => {
    const head = Buffer.alloc(7);
    head.writeUIntBE(seq, 1, 6);
    return Buffer.concat([head, Buffer.from(bytes, 'latin1')]);
  };
  const control = (text: string): Buffer => Buffer.concat([Buffer.from([2]), Buffer.from(text)]);

  it.each<[string, Buffer, object]>([
    ['input that is not counted', input(0, 'ls\xff'), { type: 'input', bytes: Buffer.from('ls\xff', 'latin1'), seq: null }],
    ['input', input(2 ** 47, 'ls'), { type: 'input', seq: 2 ** 47 }],
    ['input of nothing', input(3, ''), { type: 'input', bytes: Buffer.alloc(0), seq: 3 }],
    ['input that is more than its count', input(1, 'ls'), { type: 'refused', code: 'bad_message' }],
    ['input without a count', Buffer.from([0, 0, 0]), { type: 'refused', code: 'bad_message' }],
    ['control', control('{"type":"ack","seq":7}'), { type: 'ack', seq: 7 }],
    ['control that is no object', control('ls'), { type: 'refused', code: 'bad_message' }],
    ['output, which is the server’s', Buffer.from([1, 0, 0, 0, 0, 0, 1, 65]), { type: 'refused', code: 'unknown_type' }],
    ['an opcode that is not known', Buffer.from([77]), { type: 'refused', code: 'unknown_type' }],
    ['nothing', Buffer.alloc(0), { type: 'refused', code: 'bad_message' }],
  ])('%s is read', (_what, frame, message) => {
    expect(readBinary(frame)).toMatchObject(message);
  });

  it('is refused when its input is too large', () => {
    expect(readBinary(input(0, 'x'.repeat(MOST_INPUT_BYTES))).type).toBe('input');
    expect(readBinary(input(0, 'x'.repeat(MOST_INPUT_BYTES + 1)))).toMatchObject({ type: 'refused', code: 'input_too_large' });
  });

  it('keeps its input, whatever becomes of the buffer that it came in', () => {
    const frame = input(0, 'ls');
    const message = readBinary(frame);
    frame.fill(0);
    expect(message).toMatchObject({ type: 'input', bytes: Buffer.from('ls') });
  });

  it('never makes the reader fail, whatever it holds', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof readBinary(Buffer.from(bytes)).type === 'string'));
  });

  it('has control beside it in text frames, which are never raw input', () => {
    expect(readControlText('{"type":"ping"}')).toMatchObject({ type: 'ping' });
    expect(readControlText('ls')).toMatchObject({ type: 'refused', code: 'bad_message' });
  });
});

describe("the URL's options", () => {
  it.each([
    ['', { cols: null, rows: null, sessionId: null, after: null, clientId: null, acks: false, view: false }],
    [
      'cols=100&rows=30&session_id=0123456789abcdef01234567&after=5&ack=1&mode=view&client_id=a.b',
      { cols: 100, rows: 30, after: 5, acks: true, view: true, clientId: 'a.b' },
    ],
    ['cols=0', { code: 'bad_resize' }],
    ['rows=x', { code: 'bad_resize' }],
    ['after=-1', { code: 'bad_after' }],
    ['after=1', { code: 'bad_after' }],
    ['after=0', { after: 0 }],
    ['session_id=../x', { code: 'not_found' }],
    ['client_id=a%20b', { code: 'bad_message' }],
  ])('%p are read', (query, expected) => {
    expect(readQuery(new URLSearchParams(query))).toMatchObject(expected);
  });
});
