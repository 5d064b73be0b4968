/*
 * Passes TCP connections on, each byte so much later than it came: the length of a way. It takes no more than it may hold, so that who
 * sends is slowed by the slow link before it and not by this. Arguments: port to listen on, address and port to go to, milliseconds.
 */
import { connect, createServer, type Socket } from 'node:net';

const [port = '', host = '', target = '', delayMs = ''] = process.argv.slice(2);

function pass(from: Socket, to: Socket): void {
  from.on('data', (chunk: Buffer) => {
    setTimeout(() => {
      if (!to.writable || to.write(chunk)) return;
      from.pause();
      to.once('drain', () => from.resume());
    }, Number(delayMs));
  });
  from.on('end', () => setTimeout(() => to.end(), Number(delayMs)));
  from.on('error', () => to.destroy()).on('close', () => setTimeout(() => to.destroy(), Number(delayMs)));
}

createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ host, port: Number(target), allowHalfOpen: true, noDelay: true });
  pass(near, far);
  pass(far, near);
}).listen(Number(port), () => process.stdout.write('listening\n'));
