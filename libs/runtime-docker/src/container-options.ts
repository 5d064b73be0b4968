import { FIRST_PROCESS, hostnameOf, STARTUP_PROCESS, STATE_PATH, WORKSPACE_PATH } from '@devpocket/container-runtime';
import { type EnvironmentSpec } from '@devpocket/runtime';
import {
  mainName,
  networkName,
  NOT_GROWN,
  ownLabels,
  PART,
  STARTUP,
  startupName,
  stateVolumeName,
  STORAGE,
  volumeName,
} from './names';

/** Everything in an environment runs as this user and group, and the volume is theirs. */
export const USER_ID = 1000;
/** Processes and threads: a build of a large project takes some hundreds. */
const MOST_PROCESSES = 1_024;
/** Below what an engine without rights of its own may give. */
const OPEN_FILES = 16_384;
/** What is kept of a log holds 1 MiB of text however short its lines are. */
const LOG = { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } };
const CPU_MILLI_NANOS = 1_000_000;

/** Body of `POST /volumes/create`. @param size bytes, where the engine's storage can hold a volume to it */
export function volume(spec: EnvironmentSpec, name: string, size: number | null = null): object {
  return {
    Name: name,
    Driver: 'local',
    DriverOpts: size === null ? {} : { size: String(size) },
    Labels: ownLabels(spec),
  };
}

/** Body of `POST /networks/create`: nobody else is in it, and the engine keeps networks apart. */
export function network(spec: EnvironmentSpec): object {
  return { Name: networkName(spec.environmentId), Driver: 'bridge', CheckDuplicate: true, Labels: ownLabels(spec) };
}

export interface MainOptions {
  /** What went wrong with the startup commands. */
  readonly startupFailed: string | null;
  readonly notGrown: string | null;
  /** Can the storage hold it to a size? Then the image's layer is, too. */
  readonly limitsStorage: boolean;
  readonly isPodman: boolean;
}

/** Body of `POST /containers/create` for one incarnation. */
export function mainContainer(spec: EnvironmentSpec, { startupFailed, notGrown, limitsStorage, isPodman }: MainOptions): object {
  const { resources } = spec;
  return {
    ...common(spec),
    Hostname: hostnameOf(spec.name) ?? 'environment',
    Entrypoint: ['/bin/sh', '-c', FIRST_PROCESS, 'devpocket', spec.name],
    Labels: {
      ...ownLabels(spec),
      [PART]: 'environment',
      [STARTUP]: startupFailed ?? '',
      ...(notGrown === null ? {} : { [NOT_GROWN]: notGrown }),
      ...(limitsStorage ? {} : { [STORAGE]: String(resources.storageBytes) }),
    },
    HostConfig: {
      ...hostConfig(spec, isPodman),
      ReadonlyRootfs: spec.readOnlyRoot,
      // Memory that is the environment's own; programs are run from it, the terminal's among them.
      ...(spec.readOnlyRoot
        ? { Tmpfs: { '/tmp': `rw,exec,nosuid,nodev,mode=1777,size=${Math.floor(resources.memoryBytes / 2)}` } }
        : {}),
      ...(limitsStorage ? { StorageOpt: { size: String(resources.storageBytes) } } : {}),
      Mounts: [mount(volumeName(spec.environmentId), WORKSPACE_PATH)],
    },
  };
}

/**
 * The container of the startup commands, there for the life of the environment whether or not it has any: it holds on to the volumes, and
 * by it the engine reads and writes them while nothing runs. What it leaves outside of the volumes nobody sees, so its root may be written to.
 */
export function startupContainer(spec: EnvironmentSpec, isPodman: boolean): object {
  const { environmentId } = spec;
  return {
    ...common(spec),
    Entrypoint: ['/bin/sh', '-c', STARTUP_PROCESS, 'devpocket', ...spec.startupCommands],
    Labels: { ...ownLabels(spec), [PART]: 'startup' },
    HostConfig: {
      ...hostConfig(spec, isPodman),
      ReadonlyRootfs: false,
      Mounts: [mount(volumeName(environmentId), WORKSPACE_PATH), mount(stateVolumeName(environmentId), STATE_PATH)],
    },
  };
}

export { mainName, startupName };

function common(spec: EnvironmentSpec): object {
  const { environmentVariables: own } = spec;
  const variables = {
    ...('HOME' in own ? {} : { HOME: WORKSPACE_PATH }),
    ...('LANG' in own ? {} : { LANG: 'C.UTF-8' }),
    ...own,
  };
  return {
    Image: spec.image,
    User: `${USER_ID}:${USER_ID}`,
    WorkingDir: WORKSPACE_PATH,
    Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    Cmd: [],
    StopSignal: 'SIGTERM',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
  };
}

function hostConfig({ environmentId, resources }: EnvironmentSpec, isPodman: boolean): object {
  return {
    NetworkMode: networkName(environmentId),
    NanoCpus: resources.cpuMillis * CPU_MILLI_NANOS,
    Memory: resources.memoryBytes,
    // The same as memory: no swap beyond it.
    MemorySwap: resources.memoryBytes,
    PidsLimit: MOST_PROCESSES,
    // With one of them said, Podman raises the others beyond what an engine without rights of its own may; its `default_ulimits` count.
    Ulimits: isPodman
      ? []
      : [
          { Name: 'nofile', Soft: OPEN_FILES, Hard: OPEN_FILES },
          { Name: 'core', Soft: 0, Hard: 0 },
        ],
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    Privileged: false,
    IpcMode: 'private',
    Init: false,
    AutoRemove: false,
    // What ends by itself is seen to have ended, by us, and started by us alone.
    RestartPolicy: { Name: 'no' },
    LogConfig: LOG,
  };
}

/** Empty when new, whatever the image has in its place. */
function mount(source: string, target: string): object {
  return { Type: 'volume', Source: source, Target: target, VolumeOptions: { NoCopy: true } };
}
