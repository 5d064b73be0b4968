import { chmodSync, closeSync, rmSync } from 'node:fs';
import type * as Ffi from 'node:ffi';
import { getSystemErrorName } from 'node:util';

/** How many bytes go with a descriptor, always: what is of another length did not come from `send`. */
export const TOKEN_BYTES = 16;

export interface DescriptorPassing {
  /**
   * Gives the process that listens at `path` a descriptor of its own for what `descriptor` is open on; the caller keeps, and
   * closes, its own. What was sent is there for `take` as soon as this returns.
   * @throws NodeJS.ErrnoException ECONNREFUSED or ENOENT: nobody listens; EAGAIN: as many wait as the system lets wait
   *   (`net.core.somaxconn`); EBADF, EMFILE, ENAMETOOLONG, …
   */
  send(path: string, descriptor: number, token: Buffer): void;
  /** The same over a socket that is there, to whoever holds its other end. @throws NodeJS.ErrnoException EPIPE, EAGAIN, EBADF, … */
  sendOn(socket: number, descriptor: number, token: Buffer): void;
  /** Listens at `path`, for this user alone, in place of whoever did. @throws NodeJS.ErrnoException */
  receiver(path: string): DescriptorReceiver;
}

export interface DescriptorReceiver {
  /**
   * All that has come, in its order; never waits. Whoever takes a descriptor must close it. What is not exactly one descriptor
   * and a token is dropped, and its descriptors closed.
   */
  take(): readonly { /** In hexadecimal. */ readonly token: string; readonly descriptor: number }[];
  /** Closes what was not taken, too. The file stays: another may listen there by now. */
  close(): void;
}

// Of Linux on x64 and arm64: <bits/socket.h>, <bits/socket_type.h>, <asm-generic/errno-base.h>.
const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_TRUNC_OR_CTRUNC = 0x20 | 0x8;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const EBADF = 9;
const ENAMETOOLONG = 36;
const MOST_WAITING = 4_096;
const LONGEST_PATH = 107;

// The results of sendmsg and recvmsg are longer, but these fit, and a 64-bit result would be made a BigInt.
const SIGNATURES = {
  __errno_location: { return: 'pointer', arguments: [] },
  socket: { return: 'int32', arguments: ['int32', 'int32', 'int32'] },
  bind: { return: 'int32', arguments: ['int32', 'pointer', 'int32'] },
  listen: { return: 'int32', arguments: ['int32', 'int32'] },
  connect: { return: 'int32', arguments: ['int32', 'pointer', 'int32'] },
  accept4: { return: 'int32', arguments: ['int32', 'pointer', 'pointer', 'int32'] },
  sendmsg: { return: 'int32', arguments: ['int32', 'pointer', 'int32'] },
  recvmsg: { return: 'int32', arguments: ['int32', 'pointer', 'int32'] },
} as const satisfies Ffi.FunctionDefinitions;

let known: DescriptorPassing | null | undefined;

/** Null where there is none: not Linux on x64 or arm64, or Node without its `node:ffi`, or not allowed to use it. */
export function descriptorPassing(): DescriptorPassing | null {
  try {
    return (known = known === undefined ? made() : known);
  } catch {
    return (known = null);
  }
}

function made(): DescriptorPassing | null {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return null;
  const ffi = loaded();
  if (ffi === undefined) return null;
  const { functions: libc } = ffi.dlopen(null, SIGNATURES);
  // One per thread, and always at the same place.
  const errno = libc.__errno_location();
  // A Node whose signatures are written otherwise takes these for functions without arguments and result.
  if (libc.listen(-1, 0) !== -1 || ffi.getInt32(errno, 0) !== EBADF) return null;

  // All that the calls read and write is in one place. An ArrayBuffer's memory is never moved, as a small typed array's can be, and is
  // there as long as these functions are. It is little-endian, and laid out so that musl and glibc agree.
  const memory = Buffer.from(new ArrayBuffer(256));
  const address = ffi.getRawPointer(memory);
  const [IOVEC, CONTROL, SPACE, TOKEN, NAME] = [56, 72, 24, 96, 112] as const;
  memory.writeBigUInt64LE(address + BigInt(IOVEC), 16); // msg_iov
  memory.writeUInt32LE(1, 24); // msg_iovlen
  memory.writeBigUInt64LE(address + BigInt(CONTROL), 32); // msg_control
  memory.writeBigUInt64LE(address + BigInt(TOKEN), IOVEC); // iov_base
  memory.writeUInt32LE(TOKEN_BYTES, IOVEC + 8); // iov_len
  memory.writeUInt16LE(AF_UNIX, NAME);

  /**
   * Nothing can come between a call and this reading of its errno but V8's own work, which leaves it alone as long as none of its system
   * calls fails. Were it ever wrong, so would be the name of an error; no decision is made by it.
   */
  const checked = (result: number, syscall: string, path: string): number => {
    if (result === -1) throw failure(ffi.getInt32(errno, 0), syscall, path);
    return result;
  };

  /** Writes `path` to where bind and connect are told to read it. @returns how long that is */
  const named = (path: string): number => {
    const length = Buffer.byteLength(path);
    // A name that starts with a zero byte would be one outside of the file system, open to all.
    if (length === 0 || length > LONGEST_PATH || path.includes('\0')) throw failure(ENAMETOOLONG, 'socket', path);
    memory.fill(0, NAME + 2).write(path, NAME + 2);
    return 2 + length + 1;
  };
  const opened = (path: string) => checked(libc.socket(AF_UNIX, SOCK_SEQPACKET | NONBLOCK_CLOEXEC, 0), 'socket', path);

  /** Reads the message of a connection: undefined if there is none yet, null if it is not what `send` sends. */
  const received = (connection: number): { token: string; descriptor: number } | null | undefined => {
    memory.writeUInt32LE(SPACE, 40); // msg_controllen
    const length = libc.recvmsg(connection, address, MSG_CMSG_CLOEXEC);
    // An error other than EAGAIN is told once, and is followed by the end.
    if (length === -1) return undefined;
    const descriptors: number[] = [];
    // There is room for two, of which the second is one too many; the system gives up the rest, and says so in msg_flags. It
    // puts all descriptors of a message behind one header, and sends no other kind to who did not ask for it.
    const end = memory.readUInt32LE(40) === 0 ? 0 : memory.readUInt32LE(CONTROL);
    for (let at = 16; at < end; at += 4) descriptors.push(memory.readInt32LE(CONTROL + at));
    const [descriptor] = descriptors;
    const whole = length === TOKEN_BYTES && (memory.readInt32LE(48) & MSG_TRUNC_OR_CTRUNC) === 0;
    if (whole && descriptor !== undefined && descriptors.length === 1) {
      return { token: memory.toString('hex', TOKEN, TOKEN + TOKEN_BYTES), descriptor };
    }
    descriptors.forEach((each) => closeSync(each));
    return null;
  };

  const measured = (token: Buffer): void => {
    if (token.length !== TOKEN_BYTES) throw new RangeError(`a token has ${TOKEN_BYTES} bytes, not ${token.length}`);
  };
  const pass = (socket: number, descriptor: number, token: Buffer, path: string): void => {
    token.copy(memory, TOKEN);
    [20, 0, SOL_SOCKET, SCM_RIGHTS, descriptor].forEach((word, at) => memory.writeInt32LE(word, CONTROL + 4 * at));
    memory.writeUInt32LE(SPACE, 40); // msg_controllen
    checked(libc.sendmsg(socket, address, MSG_NOSIGNAL), 'sendmsg', path);
  };

  return {
    sendOn: (socket, descriptor, token) => {
      measured(token);
      pass(socket, descriptor, token, '');
    },
    send: (path, descriptor, token) => {
      measured(token);
      // A connection for each: a datagram socket lets only 10 messages wait (`net.unix.max_dgram_qlen`).
      const nameLength = named(path);
      const socket = opened(path);
      try {
        checked(libc.connect(socket, address + BigInt(NAME), nameLength), 'connect', path);
        pass(socket, descriptor, token, path);
      } finally {
        closeSync(socket);
      }
    },
    receiver: (path) => {
      const nameLength = named(path);
      const socket = opened(path);
      try {
        rmSync(path, { force: true });
        checked(libc.bind(socket, address + BigInt(NAME), nameLength), 'bind', path);
        chmodSync(path, 0o600); // before anybody can connect
        checked(libc.listen(socket, MOST_WAITING), 'listen', path);
      } catch (error) {
        closeSync(socket);
        throw error;
      }
      // A sender may have connected, and not yet sent: it is looked at again the next time.
      const connections = new Set<number>();
      let open = true;
      return {
        take: () => {
          const taken: { token: string; descriptor: number }[] = [];
          while (open) {
            const connection = libc.accept4(socket, 0n, 0n, NONBLOCK_CLOEXEC);
            if (connection === -1) break;
            connections.add(connection);
          }
          for (const connection of connections) {
            const message = received(connection);
            if (message === undefined) continue;
            connections.delete(connection);
            closeSync(connection);
            if (message !== null) taken.push(message);
          }
          return taken;
        },
        close: () => {
          if (open) [socket, ...connections].forEach((each) => closeSync(each));
          connections.clear();
          open = false;
        },
      };
    },
  };
}

/** `node:ffi`, without its notice that it is experimental, which would be the first line of each log. */
function loaded(): typeof Ffi | undefined {
  const node: { emitWarning: (...all: never[]) => void } = process;
  const emit = node.emitWarning;
  node.emitWarning = (...all: unknown[]) => {
    if (all[1] !== 'ExperimentalWarning') Reflect.apply(emit, node, all);
  };
  try {
    return process.getBuiltinModule('node:ffi');
  } finally {
    node.emitWarning = emit;
  }
}

function failure(errno: number, syscall: string, path: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${syscall} ${code} ${path}`), { code, errno: -errno, syscall, path });
}
