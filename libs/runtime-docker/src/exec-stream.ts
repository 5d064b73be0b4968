import { type HolderStream } from '@devpocket/pty-holder';
import { RuntimeError } from '@devpocket/runtime';
import { type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Demux, type OutputChannel } from './demux';
import { type Engine } from './engine';
import { EngineError, toRuntimeError } from './engine-error';

type End = Awaited<HolderStream['end']>;
type OnOutput = (chunk: Buffer, channel: OutputChannel) => void;

/** The engine says that a program still runs for a moment after its streams have ended. */
const END_MS = 3_000;
const ASK_MS = 20;
/** Ways through proxies are forgotten when nothing passes. */
const KEEP_ALIVE_MS = 30_000;
/** The most that a program of ours has to say; what is in a container is its user's and may say more. */
const MOST_SAID_BYTES = 1_048_576;

/** One program run in a container without a TTY, over a connection of the engine's API that is taken over. */
export class ExecStream implements HolderStream {
  readonly end: Promise<End>;
  private settle: (end: End) => void = () => undefined;
  private over = false;
  private readonly demux = new Demux(false);

  private constructor(
    private readonly engine: Engine,
    private readonly id: string,
    private readonly socket: Socket,
  ) {
    this.end = new Promise((resolve) => (this.settle = resolve));
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    let saidAll = false;
    const broken = (message: string): void => void (saidAll || this.finish({ kind: 'broken', message }));
    socket.on('error', (error) => broken(error.message));
    socket.on('close', () => broken('The connection closed'));
    socket.on('end', () => {
      saidAll = true;
      void this.ended();
    });
  }

  /**
   * @param stdin does it take input? What waits for some must know that none comes.
   * @throws RuntimeError `gone` where the container does not run
   */
  static async open(engine: Engine, container: string, command: readonly string[], stdin = true): Promise<ExecStream> {
    try {
      const body = { AttachStdin: stdin, AttachStdout: true, AttachStderr: true, Tty: false, Cmd: command };
      const { Id } = await engine.post<{ readonly Id: string }>(`/containers/${container}/exec`, { body });
      return new ExecStream(engine, Id, await engine.hijack(`/exec/${Id}/start`, { Detach: false, Tty: false }));
    } catch (error) {
      throw refusal(error);
    }
  }

  /** Nothing is read before, and nothing while whoever listens is busy: the connection itself pushes back. */
  attach(onOutput: OnOutput): void {
    this.socket.on('data', (chunk: Buffer) => {
      if (this.over) return; // what was still in the socket when it was let go
      try {
        for (const { channel, bytes } of this.demux.push(chunk)) onOutput(bytes, channel);
      } catch (error) {
        this.finish({ kind: 'broken', message: error instanceof Error ? error.message : String(error) });
      }
    });
  }

  /** @throws RuntimeError `gone` when it has ended */
  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new RuntimeError('gone', 'The program has ended'));
      if (this.over || !this.socket.writable) gone();
      else this.socket.write(bytes, (error) => (error ? gone() : resolve()));
    });
  }

  /** Lets go of the connection. */
  close(): void {
    this.finish({ kind: 'broken', message: 'The connection was let go' });
  }

  /** Its output has: by its own end, or by the engine's. */
  private async ended(): Promise<void> {
    for (let waited = 0; waited < END_MS && !this.over; waited += ASK_MS) {
      try {
        const { Running, ExitCode } = await this.engine.get<{ Running: boolean; ExitCode: number | null }>(
          `/exec/${this.id}/json`,
        );
        if (!Running && ExitCode !== null) return this.finish({ kind: 'ended', code: ExitCode });
      } catch (error) {
        return this.finish({ kind: 'broken', message: toRuntimeError(error).message });
      }
      await delay(ASK_MS);
    }
    this.finish({ kind: 'broken', message: 'The connection closed while the program runs' });
  }

  private finish(end: End): void {
    if (this.over) return;
    this.over = true;
    this.socket.destroy();
    this.settle(end);
  }
}

/** Docker answers 404 without the container and 409 where it does not run; podman 500 where it has just ended. */
function refusal(error: unknown): RuntimeError {
  if (!(error instanceof EngineError)) return toRuntimeError(error);
  const absent =
    error.status === 404 ||
    error.status === 409 ||
    /not running|is not running|no such container|container state improper/i.test(error.message);
  return absent ? new RuntimeError('gone', error.message) : toRuntimeError(error);
}

/** Runs a program to its end. @throws RuntimeError `unreachable` when that takes too long or the connection breaks */
export async function execute(
  engine: Engine,
  container: string,
  command: readonly string[],
  timeoutMs: number,
): Promise<{ readonly code: number; readonly stdout: string }> {
  const stream = await ExecStream.open(engine, container, command, false);
  const timer = setTimeout(() => stream.close(), timeoutMs);
  const said: Buffer[] = [];
  let length = 0;
  stream.attach((chunk, channel) => {
    if (channel !== 'stdout') return;
    said.push(chunk);
    if ((length += chunk.length) > MOST_SAID_BYTES) stream.close();
  });
  const end = await stream.end;
  clearTimeout(timer);
  if (end.kind === 'broken') throw new RuntimeError('unreachable', end.message);
  return { code: end.code, stdout: Buffer.concat(said).toString('utf8') };
}
