import { type ClientMessage, inputMessage, parseObject, readObject, refused } from './terminal.protocol';

/** The first byte of a binary frame (contract §6). */
const OPCODE = { input: 0, output: 1, control: 2 } as const;
/** Opcode and position. */
const BINARY_HEAD = 7;
const SEQ_AT = 1;
const SEQ_BYTES = 6;

const head = Buffer.alloc(BINARY_HEAD, OPCODE.output);

/** The head of an output frame, good until the next. @param seq the position behind its bytes */
export function outputHead(seq: number): Buffer {
  head.writeUIntBE(seq, SEQ_AT, SEQ_BYTES);
  return head;
}

/** A frame of the binary subprotocol, without trusting any of it. */
export function readBinary(frame: Buffer): ClientMessage {
  switch (frame[0]) {
    case OPCODE.input: {
      if (frame.length < BINARY_HEAD) return refused('bad_message', 'Input needs a position of 6 bytes');
      const seq = frame.readUIntBE(SEQ_AT, SEQ_BYTES);
      // A copy: it may wait long for the PTY, and the frame is a view of more than it.
      return inputMessage(Buffer.from(frame.subarray(BINARY_HEAD)), seq === 0 ? null : seq);
    }
    case OPCODE.control:
      return readControlText(frame.toString('utf8', 1));
    case undefined:
      return refused('bad_message', 'A frame needs an opcode');
    default:
      return refused('unknown_type', 'This opcode is not known');
  }
}

/** Control JSON: there is no raw input among it. */
export function readControlText(text: string): ClientMessage {
  const value = parseObject(text);
  return value ? readObject(value) : refused('bad_message', 'Control messages are JSON objects');
}
