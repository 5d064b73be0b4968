import { RuntimeError } from '@devpocket/runtime';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { type HolderStream } from '../src/holder-connection';

/** A program of this machine in the place of one in a container. */
export class LocalStream implements HolderStream {
  readonly end: HolderStream['end'];
  private broken = false;
  private readonly child: ChildProcessWithoutNullStreams;

  constructor([file = '', ...args]: readonly string[]) {
    this.child = spawn(file, args, { cwd: '/' });
    this.child.stdin.on('error', () => undefined); // it has ended
    this.end = new Promise((resolve) => {
      this.child.once('close', (code) =>
        resolve(this.broken ? { kind: 'broken', message: 'cut' } : { kind: 'ended', code: code ?? 255 }),
      );
    });
  }

  attach(onOutput: (chunk: Buffer, channel: 'stdout' | 'stderr') => void): void {
    this.child.stdout.on('data', (chunk: Buffer) => this.broken || onOutput(chunk, 'stdout'));
    this.child.stderr.on('data', (chunk: Buffer) => this.broken || onOutput(chunk, 'stderr'));
  }

  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.broken) reject(new RuntimeError('gone', 'cut'));
      else this.child.stdin.write(bytes, (error) => (error ? reject(new RuntimeError('gone', error.message)) : resolve()));
    });
  }

  /** As a connection that breaks: what is under way in either direction is lost. */
  close(): void {
    this.broken = true;
    for (const stream of [this.child.stdin, this.child.stdout, this.child.stderr]) stream.destroy();
  }
}
