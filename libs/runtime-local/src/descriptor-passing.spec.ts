import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, Socket } from 'node:net';
import type * as Ffi from 'node:ffi';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { descriptorPassing, type DescriptorPassing, type DescriptorReceiver, TOKEN_BYTES } from './descriptor-passing';

const BUILT = join(__dirname, '../../../dist/libs/runtime-local/src/descriptor-passing.js');

const MSG_NOSIGNAL = 0x4000;

interface Pair {
  readonly client: Socket;
  readonly accepted: Socket;
}

let folder: string;
let path: string;
let server: Server;
let receiver: DescriptorReceiver | undefined;
let clients: Socket[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'devpocket-fd-'));
  path = join(folder, 'socket');
  clients = [];
  server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  receiver?.close();
  receiver = undefined;
  for (const client of clients) client.destroy();
  server.close();
  await once(server, 'close');
  rmSync(folder, { recursive: true });
});

function passing(): DescriptorPassing {
  const found = descriptorPassing();
  if (found === null) throw new Error('no passing of descriptors here');
  return found;
}

async function pair(): Promise<Pair> {
  const come = once(server, 'connection') as Promise<[Socket]>;
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  clients.push(client);
  await once(client, 'connect');
  return { client, accepted: (await come)[0] };
}

function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

/** What a connection is, whichever descriptor it is open on. */
function inode(descriptor: number): number {
  return fstatSync(descriptor).ino;
}

async function destroyed(socket: Socket): Promise<void> {
  socket.destroy();
  if (!socket.closed) await once(socket, 'close');
}

async function said(socket: Socket): Promise<string> {
  return String(((await once(socket, 'data')) as [Buffer])[0]);
}

function open(): readonly string[] {
  return readdirSync('/proc/self/fd').sort();
}

function codeOf(act: () => void): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

/** Libc's sendmsg for messages that `send` never sends: `count` descriptors, or none, and a body of any length. */
function sendOtherwise(to: string, descriptors: readonly number[], body: Buffer): () => void {
  const ffi: typeof Ffi = process.getBuiltinModule('node:ffi');
  const { functions: libc } = ffi.dlopen(null, {
    socket: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
    connect: { return: 'int32', arguments: ['int32', 'pointer', 'int32'] },
    sendmsg: { return: 'int32', arguments: ['int32', 'pointer', 'int32'] },
  });
  const block = (length: number): Buffer => Buffer.from(new ArrayBuffer(length));
  const name = block(110);
  name.writeUInt16LE(1, 0);
  name.write(to, 2);
  const text = block(Math.max(body.length, 1));
  body.copy(text);
  const iovec = block(16);
  iovec.writeBigUInt64LE(ffi.getRawPointer(text), 0);
  iovec.writeUInt32LE(body.length, 8);
  const control = block(16 + 8 * Math.ceil(descriptors.length / 2));
  [16 + 4 * descriptors.length, 0, 1, 1, ...descriptors].forEach((word, at) => control.writeInt32LE(word, 4 * at));
  const header = block(56);
  header.writeBigUInt64LE(ffi.getRawPointer(iovec), 16);
  header.writeUInt32LE(1, 24);
  header.writeBigUInt64LE(ffi.getRawPointer(control), 32);
  header.writeUInt32LE(descriptors.length === 0 ? 0 : control.length, 40);
  const socket = libc.socket(1, 5, 0);
  expect(libc.connect(socket, ffi.getRawPointer(name), 3 + to.length)).toBe(0);
  return () => {
    const sent = libc.sendmsg(socket, ffi.getRawPointer(header), MSG_NOSIGNAL);
    closeSync(socket);
    expect(sent).toBe(body.length);
  };
}

describe('passing of descriptors', () => {
  it('lets another part of the process talk on, on a connection that the sender has closed', async () => {
    receiver = passing().receiver(path);
    expect(receiver.take()).toEqual([]);
    const { client, accepted } = await pair();
    const seen: string[] = [];
    for (const event of ['end', 'error', 'close']) client.on(event, () => seen.push(event));
    const token = randomBytes(TOKEN_BYTES);
    passing().send(path, descriptorOf(accepted), token);
    await destroyed(accepted);
    client.write('before it is taken');

    const [taken, ...more] = receiver.take();
    expect([taken?.token, more]).toEqual([token.toString('hex'), []]);
    expect(readFileSync(`/proc/self/fdinfo/${taken?.descriptor}`, 'utf8')).toMatch(/^flags:\s*02[0-7]{6}$/m); // close-on-exec
    const socket = new Socket({ fd: taken?.descriptor ?? -1, readable: true, writable: true });
    expect(await said(socket)).toBe('before it is taken');
    socket.write('answer');
    expect(await said(client)).toBe('answer');
    expect(seen).toEqual([]);
    socket.end();
    await once(client, 'end');
    await destroyed(socket);
  });

  it('reaches a process that was started by itself, which says nothing of it in its log', async () => {
    const program = `
      const { descriptorPassing } = require(${JSON.stringify(BUILT)});
      const receiver = descriptorPassing().receiver(${JSON.stringify(path)});
      process.stdin.on('data', () => {
        for (const { token, descriptor } of receiver.take()) {
          const socket = new (require('node:net').Socket)({ fd: descriptor, readable: true, writable: true });
          socket.on('data', (data) => socket.end(token + ' ' + data));
        }
      });
      process.stdin.on('end', () => { process.emitWarning('one of its own', 'ExperimentalWarning'); receiver.close(); });
      console.log('listening');
    `;
    const child: ChildProcess = spawn(process.execPath, ['-e', program], { stdio: 'pipe' });
    try {
      const logged: Buffer[] = [];
      child.stderr?.on('data', (chunk: Buffer) => logged.push(chunk));
      const exited = once(child, 'close');
      await Promise.race([once(child.stdout ?? child, 'data'), exited]);
      const { client, accepted } = await pair();
      const token = randomBytes(TOKEN_BYTES);
      passing().send(path, descriptorOf(accepted), token);
      await destroyed(accepted);
      client.write('hello');
      child.stdin?.write('come\n');
      expect(await said(client)).toBe(`${token.toString('hex')} hello`);
      await once(client, 'end');
      child.stdin?.end();
      expect((await exited)[0]).toBe(0);
      const text = Buffer.concat(logged).toString();
      expect(text).toContain('one of its own');
      expect(text).not.toContain('FFI');
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('keeps 200 that come at once apart, in their order, and leaves nothing open', async () => {
    const before = open();
    receiver = passing().receiver(path);
    const pairs: Pair[] = [];
    while (pairs.length < 200) pairs.push(await pair());
    const sent = pairs.map(({ accepted }) => {
      const token = randomBytes(TOKEN_BYTES);
      passing().send(path, descriptorOf(accepted), token);
      return { token: token.toString('hex'), inode: inode(descriptorOf(accepted)) };
    });
    const taken = receiver.take();
    expect(taken.map(({ token, descriptor }) => ({ token, inode: inode(descriptor) }))).toEqual(sent);
    for (const { descriptor } of taken) closeSync(descriptor);
    await Promise.all(pairs.flatMap(({ client, accepted }) => [destroyed(client), destroyed(accepted)]));
    receiver.close();
    receiver.close();
    expect(receiver.take()).toEqual([]);
    expect(open()).toEqual(before);
  });

  it('drops what is not one descriptor and a token, and closes what came with it', () => {
    const file = openSync(join(folder, 'file'), 'w');
    const token = randomBytes(TOKEN_BYTES);
    receiver = passing().receiver(path);
    const before = open();
    const wrong: [descriptors: number[], body: Buffer][] = [
      [[], token],
      [[file, file], token],
      [[file, file, file], token],
      [Array<number>(200).fill(file), token],
      [[file], token.subarray(1)],
      [[file], Buffer.concat([token, token])],
      [[file], Buffer.alloc(0)],
    ];
    for (const [descriptors, body] of wrong) sendOtherwise(path, descriptors, body)();
    expect(receiver.take()).toEqual([]);
    expect(open()).toEqual(before);
    sendOtherwise(path, [file], token)();
    const taken = receiver.take();
    expect(taken.map((each) => [each.token, inode(each.descriptor)])).toEqual([[token.toString('hex'), inode(file)]]);
    for (const { descriptor } of taken) closeSync(descriptor);
    closeSync(file);
  });

  it('takes later what is sent later, and forgets who leaves without having sent', () => {
    const file = openSync(join(folder, 'file'), 'w');
    receiver = passing().receiver(path);
    const before = open();
    const token = randomBytes(TOKEN_BYTES);
    const send = sendOtherwise(path, [file], token);
    expect(receiver.take()).toEqual([]);
    expect(() => passing().send(path, 1_000_000, token)).toThrow('sendmsg EBADF');
    expect(receiver.take()).toEqual([]);
    send();
    const taken = receiver.take();
    expect(taken.map((each) => each.token)).toEqual([token.toString('hex')]);
    for (const { descriptor } of taken) closeSync(descriptor);
    expect(open()).toEqual(before);
    closeSync(file);
  });

  it('closes what was not taken', async () => {
    receiver = passing().receiver(path);
    const { client, accepted } = await pair();
    passing().send(path, descriptorOf(accepted), randomBytes(TOKEN_BYTES));
    await destroyed(accepted);
    client.resume();
    receiver.close();
    await once(client, 'close');
  });

  it('closes once, and takes nothing from what has its descriptor next', () => {
    const token = randomBytes(TOKEN_BYTES);
    const before = open();
    const closed = passing().receiver(`${path}-closed`);
    const send = sendOtherwise(`${path}-closed`, [0], token);
    expect(closed.take()).toEqual([]);
    closed.close();
    expect(send).toThrow();
    expect(open()).toEqual(before);
    receiver = passing().receiver(path);
    passing().send(path, 0, token);
    closed.close();
    expect(closed.take()).toEqual([]);
    const taken = receiver.take();
    expect(taken).toHaveLength(1);
    for (const { descriptor } of taken) closeSync(descriptor);
  });

  it('listens for its user alone, in place of who did before', () => {
    writeFileSync(path, '');
    const earlier = passing().receiver(path);
    receiver = passing().receiver(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    passing().send(path, 0, randomBytes(TOKEN_BYTES));
    expect(earlier.take()).toEqual([]);
    earlier.close();
    const taken = receiver.take();
    expect(taken).toHaveLength(1);
    for (const { descriptor } of taken) closeSync(descriptor);
  });

  it('says why it cannot, and leaves nothing open', () => {
    const token = randomBytes(TOKEN_BYTES);
    passing().receiver(path).close();
    const before = open();
    const longest = path.padEnd(107, 'x');
    const failures: [act: () => void, code: string][] = [
      [() => passing().send(path, 0, token), 'ECONNREFUSED'],
      [() => passing().send(`${path}-absent`, 0, token), 'ENOENT'],
      [() => passing().send(longest, 0, token), 'ENOENT'],
      [() => passing().send(`${longest}x`, 0, token), 'ENAMETOOLONG'],
      [() => passing().receiver(`${longest}x`), 'ENAMETOOLONG'],
      [() => passing().receiver('\0abstract'), 'ENAMETOOLONG'],
    ];
    for (const [act, code] of failures) expect(codeOf(act)).toBe(code);
    expect(() => passing().receiver(join(folder, 'absent', 'socket'))).toThrow('bind ENOENT');
    expect(() => passing().send(path, 0, token.subarray(1))).toThrow(RangeError);
    expect(open()).toEqual(before);
    receiver = passing().receiver(longest);
  });

  it.each([
    ['Node has no FFI', ['--no-experimental-ffi']],
    ['it is not allowed', ['--permission', '--allow-fs-read=*']],
  ])('is not there where %s', (_, flags) => {
    const program = `console.log(require(${JSON.stringify(BUILT)}).descriptorPassing())`;
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, '-e', program], { encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['null\n', '']);
  });
});
