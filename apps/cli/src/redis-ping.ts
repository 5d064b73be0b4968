import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

const PATIENCE_MS = 5_000;

/** A command as Redis reads it (RESP2: an array of bulk strings). */
function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/**
 * Signs in where the URL says how, and asks what it is.
 * @returns the version, e.g. `7.0.15`
 * @throws Error with what Redis or the network says; never with the password
 */
export function pingRedis(url: string): Promise<string> {
  const { protocol, hostname, port, username, password } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const to = { host, port: Number(port || 6379) };
  const user = username === '' ? [] : [decodeURIComponent(username)];
  const signIn = password === '' ? '' : command('AUTH', ...user, decodeURIComponent(password));
  return new Promise((resolve, reject) => {
    const socket = protocol === 'rediss:' ? connectTls({ ...to, servername: host }) : connect(to);
    const end = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    let heard = '';
    socket.setTimeout(PATIENCE_MS, () => end(new Error(`no answer within ${PATIENCE_MS / 1000} s`)));
    socket.on('error', end);
    socket.on('close', () => end(new Error('the connection was closed')));
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
      const fault = /^-(.*)\r$/m.exec(heard)?.[1];
      if (fault !== undefined) return end(new Error(fault));
      const version = /^redis_version:(\S+)\r$/m.exec(heard)?.[1];
      if (version === undefined) return;
      socket.destroy();
      resolve(version);
    });
    socket.write(signIn + command('INFO', 'server'));
  });
}
