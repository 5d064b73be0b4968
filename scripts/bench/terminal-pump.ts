/* The least in Node that copies a PTY to a socket and back: what any terminal server costs at least. Prints its port. */
import { spawn } from '@lydell/node-pty';
import { createServer } from 'node:net';

const server = createServer((socket) => {
  const pty = spawn('/bin/bash', ['--norc', '--noprofile'], { cols: 100, rows: 30, env: process.env, encoding: null });
  socket.setNoDelay(true);
  // Without an encoding it hands over buffers, whatever its types say.
  pty.onData((chunk) => {
    if (socket.write(chunk)) return;
    pty.pause();
    socket.once('drain', () => pty.resume());
  });
  socket.on('data', (chunk) => pty.write(chunk.toString('utf8')));
  socket.on('error', () => undefined);
  socket.on('close', () => pty.kill());
  pty.onExit(() => socket.end());
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address ? address.port : 0}\n`);
});
