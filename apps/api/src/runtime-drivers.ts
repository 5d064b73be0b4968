import { type RuntimeSettings, type Settings, SettingsError } from '@devpocket/config';
import { type RuntimeDriver, type RuntimeKind } from '@devpocket/runtime';
import { DockerDriver, lookAtEngine } from '@devpocket/runtime-docker';
import { KubernetesDriver, KubernetesInspector } from '@devpocket/runtime-kubernetes';
import { LocalDriver } from '@devpocket/runtime-local';
import { Logger } from '@nestjs/common';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type DriverNeeds, type Runtimes } from './runtime.module';

/** What the settings ask for. */
export function runtimesOf(settings: Settings): Runtimes {
  return { drivers: (needs) => runtimeDrivers(settings, needs), inspector: new KubernetesInspector() };
}

/**
 * The only list of drivers. The first is where new environments go.
 * @throws SettingsError naming RUNTIME
 */
async function runtimeDrivers(settings: Settings, needs: DriverNeeds): Promise<readonly RuntimeDriver[]> {
  const { runtime } = settings;
  const { kind, chosen } = await choose(settings, needs);
  const { terminalBufferBytes, docker } = runtime;
  switch (kind) {
    case 'kubernetes':
      return [new KubernetesDriver({ ...needs, terminalBufferBytes, chosen, log: logOf('KubernetesRuntime') })];
    case 'docker':
      return [new DockerDriver({ ...needs, terminalBufferBytes, chosen, engine: docker, loginFolder: docker.configPath })];
    case 'local':
      if (!runtime.localAllowed)
        throw refusal(
          'comes to local here, which production refuses unless LOCAL_RUNTIME_IN_PRODUCTION=true; or add a cluster, or give it a container engine',
        );
      return [localDriver(runtime, chosen)];
  }
}

/** What is asked for wins; else the first that is there. */
async function choose(
  { runtime, clusters }: Settings,
  needs: DriverNeeds,
): Promise<{ readonly kind: RuntimeKind; readonly chosen: string }> {
  if (runtime.runtime !== 'auto') return { kind: runtime.runtime, chosen: `RUNTIME=${runtime.runtime}` };
  if (clusters.ownApiServer !== null)
    return { kind: 'kubernetes', chosen: 'RUNTIME=auto, and this server is a pod of a cluster' };
  if ((await needs.clusters.list()).length > 0)
    return { kind: 'kubernetes', chosen: 'RUNTIME=auto, and a cluster is registered' };
  const { host } = runtime.docker;
  try {
    await lookAtEngine(runtime.docker);
    return { kind: 'docker', chosen: `RUNTIME=auto, no cluster is registered, and an engine answers at ${host}` };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { kind: 'local', chosen: `RUNTIME=auto, no cluster is registered, and no engine answers at ${host}: ${why}` };
  }
}

/** @param program @see LocalRuntimeOptions.hostProgram */
export function localDriver(
  settings: RuntimeSettings,
  chosen = 'RUNTIME=local',
  program: string | null = hostProgram(),
): RuntimeDriver {
  return new LocalDriver({
    chosen,
    dataDir: settings.dataDir,
    network: settings.localNetwork,
    allowUnsandboxedUsers: settings.localAllowUnsandboxedUsers,
    terminalBufferBytes: settings.terminalBufferBytes,
    hostGraceSeconds: settings.terminalHostGraceSeconds,
    hostProgram: program,
    log: logOf('LocalRuntime'),
  });
}

function refusal(problem: string): SettingsError {
  return new SettingsError([{ variable: 'RUNTIME', problem, example: 'local' }]);
}

function logOf(context: string) {
  const logger = new Logger(context);
  return {
    info: (message: string): void => logger.log(message),
    warn: (message: string): void => logger.warn(message),
    error: (message: string): void => logger.error(message),
  };
}

/** A process of its own runs compiled code; started from a source file (in a test) it is the build's. */
function hostProgram(): string {
  const beside = join(__dirname, '../../pty-host/src/main.js');
  return existsSync(beside) ? beside : join(__dirname, '../../../dist/apps/pty-host/src/main.js');
}
