import { type ResourceLimits } from '@devpocket/runtime';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
/** Enough for a build with many compilers, too few for a fork bomb to hurt. */
export const MOST_PROCESSES = 512;
const CPU_PERIOD_US = 100_000;

export interface CgroupUsage {
  readonly cpuNanos: number;
  readonly memoryBytes: number;
  readonly oomKills: number;
}

/** Control groups of one installation, v1 or v2, where this user may make them. */
export abstract class Cgroups {
  /** Null where none can be made; then rlimits have to do. */
  static detect(dataDir: string): Cgroups | null {
    const name = `devpocket-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`;
    for (const make of [() => new CgroupsV2(name), () => new CgroupsV1(name)]) {
      try {
        return make();
      } catch {
        continue; // not of this version, or not ours to make
      }
    }
    return null;
  }

  /** Files to which a process writes its id to join. */
  abstract create(environmentId: string, limits: ResourceLimits): readonly string[];
  abstract usage(environmentId: string): CgroupUsage | null;
  abstract pids(environmentId: string): readonly number[];
  abstract remove(environmentId: string): void;
  /** What holds the groups, when there are none any more. */
  abstract close(): void;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the group is gone
  }
}

function numberIn(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function removeFolder(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // busy for a moment after its last process, or never made; the next start makes it anew
  }
}

class CgroupsV1 extends Cgroups {
  private static readonly CONTROLLERS = ['memory', 'pids', 'cpu', 'cpuacct'];

  constructor(private readonly name: string) {
    super();
    for (const controller of CgroupsV1.CONTROLLERS) {
      if (!existsSync(join(ROOT, controller, 'cgroup.procs'))) throw new Error('no cgroup v1');
      mkdirSync(join(ROOT, controller, name), { recursive: true });
    }
  }

  create(environmentId: string, limits: ResourceLimits): readonly string[] {
    for (const controller of CgroupsV1.CONTROLLERS) mkdirSync(this.folder(controller, environmentId), { recursive: true });
    const set = (controller: string, file: string, value: number): void =>
      writeFileSync(join(this.folder(controller, environmentId), file), String(value));
    set('memory', 'memory.limit_in_bytes', limits.memoryBytes);
    set('pids', 'pids.max', MOST_PROCESSES);
    set('cpu', 'cpu.cfs_period_us', CPU_PERIOD_US);
    set('cpu', 'cpu.cfs_quota_us', Math.max(1_000, (limits.cpuMillis * CPU_PERIOD_US) / 1000));
    return CgroupsV1.CONTROLLERS.map((controller) => join(this.folder(controller, environmentId), 'cgroup.procs'));
  }

  usage(environmentId: string): CgroupUsage | null {
    const memory = this.folder('memory', environmentId);
    if (!existsSync(memory)) return null;
    const used =
      Number(read(join(memory, 'memory.usage_in_bytes'))) - numberIn(read(join(memory, 'memory.stat')), 'total_inactive_file');
    return {
      cpuNanos: Number(read(join(this.folder('cpuacct', environmentId), 'cpuacct.usage'))),
      memoryBytes: Math.max(0, used),
      oomKills: numberIn(read(join(memory, 'memory.oom_control')), 'oom_kill'),
    };
  }

  pids(environmentId: string): readonly number[] {
    return toPids(read(join(this.folder('pids', environmentId), 'cgroup.procs')));
  }

  remove(environmentId: string): void {
    for (const controller of CgroupsV1.CONTROLLERS) removeFolder(this.folder(controller, environmentId));
  }

  close(): void {
    for (const controller of CgroupsV1.CONTROLLERS) removeFolder(join(ROOT, controller, this.name));
  }

  private folder(controller: string, environmentId: string): string {
    return join(ROOT, controller, this.name, environmentId);
  }
}

class CgroupsV2 extends Cgroups {
  private readonly root: string;

  constructor(name: string) {
    super();
    const controllers = read(join(ROOT, 'cgroup.controllers')).split(/\s+/);
    if (!['memory', 'pids', 'cpu'].every((controller) => controllers.includes(controller))) throw new Error('no cgroup v2');
    writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+memory +pids +cpu');
    this.root = join(ROOT, name);
    mkdirSync(this.root, { recursive: true });
    writeFileSync(join(this.root, 'cgroup.subtree_control'), '+memory +pids +cpu');
  }

  create(environmentId: string, limits: ResourceLimits): readonly string[] {
    const folder = join(this.root, environmentId);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'memory.max'), String(limits.memoryBytes));
    if (existsSync(join(folder, 'memory.swap.max'))) writeFileSync(join(folder, 'memory.swap.max'), '0');
    writeFileSync(join(folder, 'pids.max'), String(MOST_PROCESSES));
    writeFileSync(join(folder, 'cpu.max'), `${Math.max(1_000, (limits.cpuMillis * CPU_PERIOD_US) / 1000)} ${CPU_PERIOD_US}`);
    return [join(folder, 'cgroup.procs')];
  }

  usage(environmentId: string): CgroupUsage | null {
    const folder = join(this.root, environmentId);
    if (!existsSync(folder)) return null;
    return {
      cpuNanos: numberIn(read(join(folder, 'cpu.stat')), 'usage_usec') * 1000,
      memoryBytes: Math.max(
        0,
        Number(read(join(folder, 'memory.current'))) - numberIn(read(join(folder, 'memory.stat')), 'inactive_file'),
      ),
      oomKills: numberIn(read(join(folder, 'memory.events')), 'oom_kill'),
    };
  }

  pids(environmentId: string): readonly number[] {
    return toPids(read(join(this.root, environmentId, 'cgroup.procs')));
  }

  remove(environmentId: string): void {
    removeFolder(join(this.root, environmentId));
  }

  close(): void {
    removeFolder(this.root);
  }
}

function toPids(text: string): readonly number[] {
  return text.split('\n').filter(Boolean).map(Number);
}
