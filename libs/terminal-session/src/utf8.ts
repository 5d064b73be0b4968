const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

/** How many bytes a character has that begins with this one (RFC 3629); 1 for what begins none. */
function lengthOf(byte: number): number {
  if (byte >= 0xf0 && byte <= 0xf4) return 4;
  if (byte >= 0xe0) return byte <= 0xef ? 3 : 1;
  return byte >= 0xc2 ? 2 : 1;
}

/** How many bytes at the end belong to a character that is not complete yet: 0–3. */
export function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (isContinuation(byte)) continue;
    return lengthOf(byte) > back ? back : 0;
  }
  return 0;
}

/** How many bytes at the beginning continue a character whose beginning is missing: 0–3. */
export function orphanedHead(bytes: Buffer): number {
  let head = 0;
  while (head < Math.min(3, bytes.length) && isContinuation(bytes[head] ?? 0)) head += 1;
  return head;
}
