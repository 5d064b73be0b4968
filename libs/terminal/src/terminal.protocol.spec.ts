import fc from 'fast-check';
import { MOST_INPUT_BYTES, readMessage, readQuery } from './terminal.protocol';

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
    ['{"type":"paste","id":"1","data":"x"}', { type: 'refused', code: 'unknown_type' }],
    ['{"type":"dance"}', { type: 'refused', code: 'unknown_type' }],
  ])('%s is read', (text, message) => {
    expect(readMessage(text)).toMatchObject(message);
  });

  it('is refused when its input is too large, counted in bytes', () => {
    const data = 'ä'.repeat(MOST_INPUT_BYTES / 2);
    expect(readMessage(JSON.stringify({ type: 'input', data })).type).toBe('input');
    expect(readMessage(JSON.stringify({ type: 'input', data: `${data}x` }))).toMatchObject({
      type: 'refused',
      code: 'input_too_large',
    });
  });

  it('never makes the reader fail, whatever it holds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(typeof readMessage(text).type).toBe('string');
      }),
    );
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
