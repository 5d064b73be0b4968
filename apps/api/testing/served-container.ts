import { spawn } from 'node:child_process';

/** A server in a container: asked over HTTP, and by the command line that its image has. */
export class ServedContainer {
  constructor(
    readonly url: string,
    private readonly container: string,
  ) {}

  /** @throws Error naming the variable that `npm run show:image` sets and that is not set */
  static fromEnvironment(): ServedContainer {
    const needed = (name: string): string => {
      const value = process.env[name];
      if (!value) throw new Error(`${name} is needed: npm run show:image sets it`);
      return value;
    };
    return new ServedContainer(needed('SERVED_URL'), needed('SERVED_CONTAINER'));
  }

  /** @throws Error with what it said, when it does not end with 0 */
  cli(args: readonly string[], input = ''): Promise<string> {
    return this.inside(['devpocket', ...args], input);
  }

  async addTemplate(text: string): Promise<void> {
    await this.inside(['sh', '-c', 'cat >/tmp/template.yaml && devpocket templates load /tmp/template.yaml'], text);
  }

  private inside(command: readonly string[], input: string): Promise<string> {
    const child = spawn('docker', ['exec', '--interactive', this.container, ...command]);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stdin.end(input);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        if (code === 0) resolve(said);
        else reject(new Error(`${command.join(' ')}: ${said}`));
      });
    });
  }
}
