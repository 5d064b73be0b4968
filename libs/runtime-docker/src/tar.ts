const BLOCK = 512;

export interface TarEntry {
  /** A folder's ends with a slash. */
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly data?: Buffer;
}

/** A tar archive (POSIX.1-1988 `ustar`), as the engine unpacks it. Names are at most 100 bytes long. */
export function pack(entries: readonly TarEntry[], now: Date): Buffer {
  const blocks = entries.flatMap(({ name, mode, uid, data }) => {
    const head = Buffer.alloc(BLOCK);
    const octal = (value: number, at: number, length: number): number =>
      head.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
    head.write(name, 0, 100, 'latin1');
    octal(mode, 100, 8);
    octal(uid, 108, 8);
    octal(uid, 116, 8);
    octal(data?.length ?? 0, 124, 12);
    octal(Math.floor(now.getTime() / 1000), 136, 12);
    head.fill(' ', 148, 156);
    head.write(data ? '0' : '5', 156, 'latin1');
    head.write('ustar\0' + '00', 257, 'latin1');
    const sum = head.reduce((total, byte) => total + byte, 0);
    head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return data ? [head, data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)] : [head];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

/** The regular files in it, up to the first that is not whole. */
export function files(archive: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + BLOCK <= archive.length;) {
    const head = archive.subarray(at, at + BLOCK);
    const size = parseInt(head.toString('latin1', 124, 136), 8);
    const from = at + BLOCK;
    if (head[0] === 0 || !Number.isInteger(size) || from + size > archive.length) break;
    const type = head.toString('latin1', 156, 157);
    if (type === '0' || type === '\0') found.push(archive.subarray(from, from + size));
    at = from + Math.ceil(size / BLOCK) * BLOCK;
  }
  return found;
}
