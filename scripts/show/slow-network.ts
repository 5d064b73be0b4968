import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface LinkOptions {
  /** Of either direction. */
  readonly kilobitsPerSecond: number;
  /** Of packets, in either direction. */
  readonly lossPercent: number;
}

/** Two addresses of a private network of four (RFC 1918): of this end, and of the far one. */
interface Addresses {
  readonly near: string;
  readonly far: string;
}

/** What waits at the bottleneck: about half a second, as in a modem. */
const QUEUE = ['burst', '1600', 'latency', '500ms'];

/**
 * A second host behind a slow link, as a network namespace: `slow` leads to it over the link, `fast` beside it. Needs root, iproute2 and
 * iptables. There is no netem in every kernel: tbf limits the rate, iptables drops, and who delays stands at the far end.
 */
export class SlowNetwork {
  readonly slow: Addresses;
  readonly fast: Addresses;
  private readonly name: string;

  private constructor(
    /** Whose network namespace it is: it has no name, and ends with this process however that ends. */
    private readonly holder: ChildProcess,
    options: LinkOptions,
  ) {
    const number = (holder.pid ?? 0) % 12_500;
    this.name = `dpslow${number}`;
    const net = `10.${201 + (number % 50)}.${number % 250}`;
    this.slow = { near: `${net}.1`, far: `${net}.2` };
    this.fast = { near: `${net}.5`, far: `${net}.6` };
    this.link('s', this.slow);
    this.link('f', this.fast);
    const rate = ['root', 'tbf', 'rate', `${options.kilobitsPerSecond}kbit`, ...QUEUE];
    run('tc', 'qdisc', 'add', 'dev', this.device('s', 'near'), ...rate);
    this.inside('tc', 'qdisc', 'add', 'dev', this.device('s', 'far'), ...rate);
    const loss = ['-m', 'statistic', '--mode', 'random', '--probability', String(options.lossPercent / 100), '-j', 'DROP'];
    this.inside('iptables', '-A', 'INPUT', '-i', this.device('s', 'far'), ...loss);
    this.inside('iptables', '-A', 'OUTPUT', '-o', this.device('s', 'far'), ...loss);
  }

  /** @throws Error where that cannot be had */
  static async open(options: LinkOptions): Promise<SlowNetwork> {
    const holder = spawn('unshare', ['--net', '--', '/bin/sh', '-c', 'echo there; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')]);
    return new SlowNetwork(holder, options);
  }

  /** Words that begin a command which runs in the far host. */
  get prefix(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.holder.pid}/ns/net`, '--'];
  }

  /** The devices go with it. */
  close(): void {
    this.holder.kill();
  }

  private device(kind: 's' | 'f', end: 'near' | 'far'): string {
    return `${this.name}${kind}${end === 'near' ? 'n' : 'f'}`;
  }

  private link(kind: 's' | 'f', { near, far }: Addresses): void {
    const [here, there] = [this.device(kind, 'near'), this.device(kind, 'far')];
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there);
    ip('link', 'set', there, 'netns', String(this.holder.pid));
    ip('address', 'add', `${near}/30`, 'dev', here);
    ip('link', 'set', here, 'up');
    this.inside('ip', 'address', 'add', `${far}/30`, 'dev', there);
    this.inside('ip', 'link', 'set', there, 'up');
  }

  private inside(...command: string[]): void {
    run(...this.prefix, ...command);
  }
}

function ip(...words: string[]): void {
  run('ip', ...words);
}

function run(...[command = '', ...words]: string[]): void {
  execFileSync(command, words, { stdio: ['ignore', 'ignore', 'pipe'] });
}
