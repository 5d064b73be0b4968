import fc from 'fast-check';
import { checkJsonSize } from './json-size';

const check = (text: string): void => checkJsonSize(Buffer.from(text));

describe('the size of a JSON body', () => {
  it('is no matter for what a request may be', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.string(), (value, text) => {
        check(JSON.stringify({ value, text }));
      }),
    );
    check(JSON.stringify('\\",[{'.repeat(1_000_000)));
  });

  it.each([
    ['10 001 members', `{${'"a":1,'.repeat(10_000)}"b":1}`, /10000 values/],
    ['10 001 elements', `[${'1,'.repeat(10_000)}1]`, /10000 values/],
    ['33 levels', '['.repeat(33), /32 deep/],
  ])('refuses %s', (_what, text, message) => {
    expect(() => check(text)).toThrow(message);
  });

  it('leaves what is no JSON to the parser, quickly', () => {
    for (const text of ['"', '"\\', '}}}}', `"${'\\"'.repeat(1_000_000)}`, '']) check(text);
  });
});
