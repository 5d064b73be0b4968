import { type ClusterActor, type ClusterHealth, type ClusterView } from '@devpocket/clusters';
import { type Region, REGIONS } from '@devpocket/kernel';
import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { Backend } from '../backend';
import { type Services } from '../backend.module';
import { CliSettings } from '../cli-settings';
import { kubeConfigFile, kubeConfigOf } from '../kube-config-source';
import { type OutputOptions, report, ReportingCommand } from '../output';
import { UserError } from '../user-error';

/** The person at the keyboard is not signed in. */
const OPERATOR: ClusterActor = { userId: null, ip: null, requestId: null };

interface AddOptions extends OutputOptions {
  readonly kubeconfig?: string;
  readonly fromEnv?: boolean;
  readonly region?: Region;
  readonly default?: boolean;
}

function factsOf(cluster: ClusterView): Readonly<Record<string, unknown>> {
  return {
    id: cluster.id,
    name: cluster.name,
    region: cluster.region,
    endpoint: cluster.endpoint,
    is_default: cluster.isDefault,
    status: cluster.status,
    environments_count: cluster.environmentsCount,
    max_environments: cluster.maxEnvironments,
  };
}

function lineOf(cluster: ClusterView): string {
  const { id, name, region, status, environmentsCount, maxEnvironments, isDefault } = cluster;
  const state = [status, `${environmentsCount}/${maxEnvironments}`, ...(isDefault ? ['default'] : [])].join(' ');
  return `${id}  ${name.padEnd(24)}  ${region.padEnd(12)}  ${state}`;
}

async function named({ clusters }: Services, name: string): Promise<ClusterView> {
  const found = await clusters.findByName(name);
  if (!found) throw new UserError(`There is no cluster "${name}"`, 3);
  return found;
}

@SubCommand({ name: 'add', arguments: '[name]', description: 'Add a cluster, or update the one of this name' })
export class ClusterAddCommand extends ReportingCommand {
  constructor(
    private readonly backend: Backend,
    private readonly settings: CliSettings,
  ) {
    super();
  }

  async run([argument]: string[], options: AddOptions): Promise<void> {
    const env = this.settings.get().clusters;
    const name = argument ?? (options.fromEnv ? env.name : null);
    if (name === null) throw new UserError('A name is needed (or --from-env with CLUSTER_NAME)', 2);
    const kubeConfig = this.kubeConfig(options, env.kubeConfig);
    const asked = options.region ?? (options.fromEnv ? env.region : undefined);
    const isDefault = options.default === true || (options.fromEnv === true && env.isDefault);
    const { DEFAULT_MAX_ENVIRONMENTS, DEFAULT_OPTIONS } = await import('@devpocket/clusters');
    await this.backend.use(async ({ clusters }) => {
      const there = await clusters.findByName(name);
      const cluster = there
        ? await clusters.change(OPERATOR, there.id, {
            kubeConfig,
            ...(asked === undefined ? {} : { region: asked }),
            ...(isDefault ? { isDefault } : {}),
          })
        : await clusters.add(
            OPERATOR,
            {
              name,
              region: asked ?? env.region,
              kubeConfig,
              endpoint: null,
              description: null,
              isDefault,
              maxEnvironments: DEFAULT_MAX_ENVIRONMENTS,
              options: DEFAULT_OPTIONS,
            },
            null,
          );
      report(options, factsOf(cluster), `${there ? 'Updated' : 'Added'} ${lineOf(cluster)}\n`);
    });
  }

  private kubeConfig({ kubeconfig, fromEnv }: AddOptions, ofEnv: string | null): string {
    if (kubeconfig !== undefined && fromEnv) throw new UserError('Either --kubeconfig or --from-env', 2);
    if (kubeconfig !== undefined) return kubeConfigFile(kubeconfig);
    if (!fromEnv) throw new UserError('One of --kubeconfig and --from-env is needed', 2);
    if (ofEnv === null) throw new UserError('CLUSTER_KUBECONFIG is not set', 2);
    return kubeConfigOf(ofEnv);
  }

  @Option({ flags: '--kubeconfig <file>', description: 'its kubeconfig; kept sealed and never shown again' })
  kubeconfig(value: string): string {
    return value;
  }

  @Option({
    flags: '--from-env',
    description: 'from CLUSTER_NAME, CLUSTER_REGION, CLUSTER_KUBECONFIG (a path, or base64) and CLUSTER_DEFAULT',
  })
  fromEnv(): boolean {
    return true;
  }

  @Option({ flags: '--region <region>', description: REGIONS.join(' | ') })
  region(value: string): Region {
    const region = REGIONS.find((one) => one === value);
    if (!region) throw new UserError(`--region must be one of ${REGIONS.join(', ')}`, 2);
    return region;
  }

  @Option({ flags: '--default', description: 'new environments of the region go there first' })
  default(): boolean {
    return true;
  }
}

@SubCommand({ name: 'list', description: 'List the clusters, newest first' })
export class ClusterListCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], options: OutputOptions): Promise<void> {
    const all: ClusterView[] = [];
    await this.backend.use(async ({ clusters }) => {
      for (let after = null, more = true; more;) {
        const page = await clusters.list(null, { limit: 100, after });
        all.push(...page.items);
        after = page.next;
        more = after !== null;
      }
    });
    report(options, all.map(factsOf), all.map((cluster) => `${lineOf(cluster)}\n`).join(''));
  }
}

@SubCommand({ name: 'check', arguments: '[name]', description: 'Ask a cluster, or all, how they are' })
export class ClusterCheckCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name]: string[], options: OutputOptions): Promise<void> {
    const results = await this.backend.use(async (services) => {
      const { clusters, measurements } = services;
      const { items } =
        name === undefined ? await clusters.list(null, { limit: 100, after: null }) : { items: [await named(services, name)] };
      return Promise.all(items.map(async (cluster) => ({ cluster, health: await measurements.measure(cluster.id) })));
    });
    const facts = results.map(({ cluster, health }) => ({
      name: cluster.name,
      status: health.reading ? 'healthy' : 'unhealthy',
      response_time_ms: health.reading?.responseTimeMs ?? null,
      node_count: health.reading?.nodeCount ?? null,
      error_message: health.error,
    }));
    const lines = results.map(({ cluster, health }) => `${cluster.name.padEnd(24)}  ${healthLine(health)}\n`);
    const silent = results.filter(({ health }) => !health.reading).length;
    const problem = silent === 0 ? null : new UserError(`${silent} of ${results.length} clusters cannot be used now`, 5);
    report(options, facts, lines.join(''), problem);
  }
}

function healthLine({ reading, error }: ClusterHealth): string {
  if (!reading) return `unhealthy: ${error ?? ''}`;
  const { cpuMillis, memoryBytes } = reading.available;
  const free = `${cpuMillis}m cpu and ${Math.floor(memoryBytes / 1_048_576)}Mi memory free`;
  return `healthy, ${reading.nodeCount} nodes, ${free}, ${Math.round(reading.responseTimeMs)} ms`;
}

@SubCommand({
  name: 'drain',
  arguments: '<name>',
  description: 'Let a cluster take no new environments; those that are there go on',
})
export class ClusterDrainCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name = '']: string[], options: OutputOptions): Promise<void> {
    const cluster = await this.backend.use(async (services) =>
      services.clusters.change(OPERATOR, (await named(services, name)).id, { status: 'maintenance' }),
    );
    report(options, factsOf(cluster), `${cluster.name} takes no new environments; it has ${cluster.environmentsCount}\n`);
  }
}

@SubCommand({
  name: 'activate',
  arguments: '<name>',
  description: 'Let a cluster take new environments (again): the end of a drain',
})
export class ClusterActivateCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run([name = '']: string[], options: OutputOptions): Promise<void> {
    const cluster = await this.backend.use(async (services) =>
      services.clusters.change(OPERATOR, (await named(services, name)).id, { status: 'active' }),
    );
    report(options, factsOf(cluster), `${cluster.name} takes new environments\n`);
  }
}

@Command({
  name: 'cluster',
  description: 'Kubernetes clusters',
  subCommands: [ClusterAddCommand, ClusterListCommand, ClusterCheckCommand, ClusterDrainCommand, ClusterActivateCommand],
})
export class ClusterCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
