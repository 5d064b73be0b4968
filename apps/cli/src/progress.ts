import { Format, SingleBar } from 'cli-progress';
import { type OutputOptions } from './output';

/** How far long work has come. */
export interface Progress {
  readonly update: (done: number, total: number) => void;
  readonly stop: () => void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };

/** A bar on standard error, where a person looks at it: not in a pipe, and never beside `--json`. */
export function progressBar(
  what: string,
  { json = false }: OutputOptions,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  if (json || !stream.isTTY) return SILENT;
  const bar = new SingleBar({
    stream,
    clearOnComplete: true,
    hideCursor: true,
    etaBuffer: 100,
    format: (options, { progress, value, total }) => `${what} ${Format.BarFormat(progress, options)} ${value}/${total}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
  });
  let begun = false;
  return {
    update: (done, total) => {
      if (!begun) bar.start(total, 0);
      begun = true;
      bar.setTotal(total);
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}

/** Runs work under a bar that goes away whatever comes of it. */
export async function withProgress<T>(
  what: string,
  options: OutputOptions,
  work: (update: Progress['update']) => Promise<T>,
): Promise<T> {
  const bar = progressBar(what, options);
  try {
    return await work(bar.update);
  } finally {
    bar.stop();
  }
}
