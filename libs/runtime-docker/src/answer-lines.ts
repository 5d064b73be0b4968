import { type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/**
 * The lines of an answer, without their ends; an end that is cut off is a line, too. Node's `readline` would wait for ever on a stream that
 * broke before it was given to it; this throws then.
 * @throws Error where it breaks off
 */
export async function* linesOf(answer: Readable): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line.replace(/\r$/, '');
  }
  rest += decoder.end();
  if (rest !== '') yield rest;
}
