import { parentPort, type MessagePort } from 'node:worker_threads';
import { type FromScreenThread, type ScreenStep, type ToScreenThread } from './screen.messages';
import { ScreenShelf } from './screen-shelf';

const TIDY_MS = 10_000;

/** The thread in which all emulators live: a megabyte takes one some 30–100 ms, which no terminal is to feel. */
function main(port: MessagePort): void {
  const shelf = new ScreenShelf(() => performance.now());
  const tell = (message: FromScreenThread): void => port.postMessage(message);
  let turn: Promise<void> = Promise.resolve();
  setInterval(() => {
    turn = turn.then(() => shelf.tidy());
  }, TIDY_MS);
  const handle = async (message: ToScreenThread): Promise<void> => {
    switch (message.kind) {
      case 'follow':
        await shelf.follow(message.key, message.size, message.steps).finally(() => {
          tell({ kind: 'followed', bytes: bytesOf(message.steps) });
        });
        break;
      case 'paint': {
        const { call } = message;
        await shelf.paint(message.key, message.format).then(
          (image) => tell({ kind: 'painted', call, image }),
          (error: unknown) => tell({ kind: 'failed', call, message: String(error) }),
        );
        break;
      }
      case 'forget':
        shelf.forget(message.key);
        break;
    }
  };
  port.on('message', (message: ToScreenThread) => {
    turn = turn.then(() => handle(message));
  });
}

function bytesOf(steps: readonly ScreenStep[]): number {
  return steps.reduce((sum, step) => sum + (step.kind === 'output' ? step.bytes.length : 0), 0);
}

if (!parentPort) throw new Error('to be started as a worker thread');
main(parentPort);
