import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const SOURCE = resolve('scripts/nginx');
const STOP_MS = 5_000;

/** Debian's nginx with a configuration of this folder, at ports and files of its own. */
export class NginxProcess {
  private child: ChildProcess | null = null;
  private printed = '';

  private constructor(
    readonly folder: string,
    private readonly config: string,
  ) {}

  /**
   * @param config its name in this folder
   * @param changes texts of the configuration, each of which must be there, and what takes their place
   * @param files written beside the configuration
   */
  static prepare(
    config: string,
    changes: Readonly<Record<string, string>>,
    files: Readonly<Record<string, string>> = {},
  ): NginxProcess {
    const folder = mkdtempSync(join(tmpdir(), 'devpocket-nginx-'));
    chmodSync(folder, 0o755); // started by root, its workers are somebody else
    cpSync(SOURCE, folder, { recursive: true });
    // What Node gives a child for its output is a socket, which cannot be opened by its name.
    const log = `${folder}/access.log`;
    let text = readFileSync(join(folder, config), 'utf8').replaceAll('/tmp/', `${folder}/`).replaceAll('/dev/stdout', log);
    for (const [from, to] of Object.entries(changes)) {
      if (!text.includes(from)) throw new Error(`${config} does not say ${from}`);
      text = text.replaceAll(from, to);
    }
    for (const [name, content] of Object.entries({ [config]: text, ...files })) writeFileSync(join(folder, name), content);
    return new NginxProcess(folder, config);
  }

  /** What was printed so far: the access log and errors. */
  get log(): string {
    const file = join(this.folder, 'access.log');
    return this.printed + (existsSync(file) ? readFileSync(file, 'utf8') : '');
  }

  /** `nginx -t`. @throws Error with its words */
  test(): void {
    execFileSync('nginx', [...this.options, '-t'], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** Resolves when it listens. */
  async start(port: number): Promise<void> {
    const child = spawn('nginx', [...this.options, '-g', 'daemon off;'], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (this.printed += chunk.toString()));
    while (!(await listens(port))) {
      if (child.exitCode !== null) throw new Error(`nginx ended: ${this.printed}`);
      await delay(20);
    }
  }

  /** Goes on with other files; connections that wait for an answer end when they have it. */
  reload(files: Readonly<Record<string, string>>): void {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(this.folder, name), content);
    this.child?.kill('SIGHUP');
  }

  async close(): Promise<void> {
    const { child } = this;
    if (child?.exitCode === null) {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private get options(): readonly string[] {
    return ['-p', this.folder, '-c', join(this.folder, this.config), '-e', 'stderr'];
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
