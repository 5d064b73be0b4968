import { freePort } from '@testing/kernel';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A Redis of a test's own: a process that can be killed, frozen and started again, and keeps nothing. */
export class RedisServer {
  private readonly folder = mkdtempSync(join(tmpdir(), 'devpocket-redis-'));
  private readonly password = randomBytes(12).toString('hex');
  private child: ChildProcess | null = null;
  private port = 0;

  get url(): string {
    return `redis://:${this.password}@127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    this.port ||= await freePort();
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, '--save', '', '--appendonly', 'no'];
    const child = spawn('redis-server', [...args, '--requirepass', this.password], { stdio: 'ignore' });
    const failed = new Promise<never>((_, reject) => child.once('error', reject));
    this.child = child;
    await Promise.race([failed, this.listening()]);
    return this;
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGKILL');
    await ended;
    this.child = null;
  }

  /** It keeps its connections and says nothing. */
  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async listening(): Promise<void> {
    for (const end = performance.now() + 10_000; performance.now() < end; await delay(10)) if (await this.answers()) return;
    throw new Error('redis-server does not listen');
  }

  private answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1');
      const end = (answers: boolean): void => {
        socket.destroy();
        resolve(answers);
      };
      socket.once('connect', () => end(true)).once('error', () => end(false));
    });
  }
}
