import { type EventEmitter } from 'node:events';
import { createRequire } from 'node:module';

interface DriverConnection {
  readonly closed: boolean;
  readonly socket: EventEmitter;
  readonly cleanup: (this: DriverConnection, error: Error) => void;
}

interface DriverModule {
  readonly Connection: { readonly prototype: DriverConnection };
}

const MENDED = Symbol('mended');

/**
 * Mends a fault of the MongoDB driver, up to 7.9 at least. A command that a socket did not take at once (it is full, or was destroyed a
 * moment ago) waits for the socket's `drain` or `error`, and a socket that closes without an error tells neither: the command waits for
 * ever. If it is the monitor's, the server counts as lost until this process ends, although it has long been back. Here whoever waits
 * for the socket of a connection that has closed hears the error.
 * @throws Error where the driver is not as this expects
 */
export function mendDriver(): void {
  // Mongoose's own copy of it.
  const load = createRequire(require.resolve('mongoose'));
  const { prototype } = (load('mongodb/lib/cmap/connection') as DriverModule).Connection;
  if (MENDED in prototype) return;
  const { cleanup } = prototype;
  if (typeof cleanup !== 'function')
    throw new Error('The MongoDB driver closes its connections in another way than libs/database knows');
  Object.assign(prototype, {
    [MENDED]: true,
    cleanup(this: DriverConnection, error: Error): void {
      const { closed, socket } = this;
      cleanup.call(this, error);
      // Behind a command that is on its way to the socket in this turn.
      if (!closed) setImmediate(() => socket.listenerCount('error') > 0 && socket.emit('error', error));
    },
  });
}
