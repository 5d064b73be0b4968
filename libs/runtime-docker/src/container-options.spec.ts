import { FIRST_PROCESS, STARTUP_PROCESS } from '@devpocket/container-runtime';
import { type EnvironmentSpec } from '@devpocket/runtime';
import { mainContainer, network, startupContainer, volume } from './container-options';

const ID = 'c'.repeat(24);
const resources = { cpuMillis: 1500, memoryBytes: 256 * 2 ** 20, storageBytes: 2 ** 30 };
const SPEC: EnvironmentSpec = {
  environmentId: ID,
  userId: 'a'.repeat(24),
  clusterId: null,
  install: 'b'.repeat(24),
  incarnation: 3,
  name: 'My_env',
  image: 'python:3.12-slim',
  defaultPort: 8080,
  resources,
  environmentVariables: { A: 'b=c', HOME: '/tmp' },
  startupCommands: ['echo $HOME'],
  quota: { active: 1, kept: 1, each: resources },
  readOnlyRoot: false,
  soleUser: false,
};
const LABELS = {
  'devpocket.io/env': ID,
  'devpocket.io/install': 'b'.repeat(24),
  'devpocket.io/user': 'a'.repeat(24),
  'app.kubernetes.io/managed-by': 'devpocket',
  'devpocket.io/incarnation': '3',
};
const COMMON = {
  Image: 'python:3.12-slim',
  User: '1000:1000',
  WorkingDir: '/workspace',
  Env: ['LANG=C.UTF-8', 'A=b=c', 'HOME=/tmp'],
  Cmd: [],
  StopSignal: 'SIGTERM',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
};
const HOST = {
  NetworkMode: `env-${ID}`,
  NanoCpus: 1_500_000_000,
  Memory: 268_435_456,
  MemorySwap: 268_435_456,
  PidsLimit: 1024,
  Ulimits: [
    { Name: 'nofile', Soft: 16_384, Hard: 16_384 },
    { Name: 'core', Soft: 0, Hard: 0 },
  ],
  CapDrop: ['ALL'],
  SecurityOpt: ['no-new-privileges'],
  Privileged: false,
  IpcMode: 'private',
  Init: false,
  AutoRemove: false,
  RestartPolicy: { Name: 'no' },
  LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
};
const mount = (Source: string, Target: string) => ({ Type: 'volume', Source, Target, VolumeOptions: { NoCopy: true } });

describe('what is asked of an engine', () => {
  it('for a volume and a network', () => {
    const made = { Name: 'n', Driver: 'local', Labels: LABELS };
    expect(volume(SPEC, 'n')).toEqual({ ...made, DriverOpts: {} });
    expect(volume(SPEC, 'n', 5)).toEqual({ ...made, DriverOpts: { size: '5' } });
    expect(network(SPEC)).toEqual({ Name: `env-${ID}`, Driver: 'bridge', CheckDuplicate: true, Labels: LABELS });
  });

  it('for an incarnation', () => {
    expect(mainContainer(SPEC, { startupFailed: 'oh', notGrown: null, limitsStorage: false, isPodman: false })).toEqual({
      ...COMMON,
      Hostname: 'my-env',
      Entrypoint: ['/bin/sh', '-c', FIRST_PROCESS, 'devpocket', 'My_env'],
      Labels: {
        ...LABELS,
        'devpocket.io/part': 'environment',
        'devpocket.io/startup': 'oh',
        'devpocket.io/storage': String(2 ** 30),
      },
      HostConfig: { ...HOST, ReadonlyRootfs: false, Mounts: [mount(`env-${ID}`, '/workspace')] },
    });
  });

  it('for one whose root cannot be written to, on storage that holds to sizes', () => {
    const options = { startupFailed: null, notGrown: 'small', limitsStorage: true, isPodman: false };
    expect(mainContainer({ ...SPEC, readOnlyRoot: true }, options)).toMatchObject({
      Labels: { ...LABELS, 'devpocket.io/startup': '', 'devpocket.io/not-grown': 'small' },
      HostConfig: {
        ...HOST,
        ReadonlyRootfs: true,
        Tmpfs: { '/tmp': 'rw,exec,nosuid,nodev,mode=1777,size=134217728' },
        StorageOpt: { size: String(2 ** 30) },
      },
    });
  });

  it('for its startup commands, which alone see the state', () => {
    expect(startupContainer(SPEC, false)).toEqual({
      ...COMMON,
      Entrypoint: ['/bin/sh', '-c', STARTUP_PROCESS, 'devpocket', 'echo $HOME'],
      Labels: { ...LABELS, 'devpocket.io/part': 'startup' },
      HostConfig: {
        ...HOST,
        ReadonlyRootfs: false,
        Mounts: [mount(`env-${ID}`, '/workspace'), mount(`env-${ID}-state`, '/devpocket')],
      },
    });
  });

  it('for Podman, which raises the limits that are not said as soon as one is', () => {
    const options = { startupFailed: null, notGrown: null, limitsStorage: false };
    const limitsOf = (isPodman: boolean): readonly unknown[] =>
      [mainContainer(SPEC, { ...options, isPodman }), startupContainer(SPEC, isPodman)].map(
        (body) => (body as { HostConfig: { Ulimits: unknown } }).HostConfig.Ulimits,
      );
    expect(limitsOf(true)).toEqual([[], []]);
    expect(limitsOf(false)).toEqual([HOST.Ulimits, HOST.Ulimits]);
  });
});
