import { isUtf8 } from 'node:buffer';

/**
 * An output message from PTY bytes, as text whose characters are its bytes (Latin-1). What UTF-8 gives is valid in JSON as it is but
 * for some bytes below 0x80, so the serializer gets the bytes without decoding, which would cost several times the rest. Bytes that
 * are no UTF-8 become U+FFFD, since a text frame must not have them (RFC 6455 §8.1).
 * @param seq the position behind these bytes
 */
export function jsonOutput(bytes: Buffer, seq: number): readonly string[] {
  const text = isUtf8(bytes) ? bytes : Buffer.from(bytes.toString('utf8'));
  return ['{"type":"output","data":', JSON.stringify(text.toString('latin1')), `,"seq":${seq}}`];
}
