import { type RuntimeSettings, type Settings, SettingsError } from '@devpocket/config';
import { type RuntimeDriver } from '@devpocket/runtime';
import { KubernetesDriver, KubernetesInspector } from '@devpocket/runtime-kubernetes';
import { LocalDriver } from '@devpocket/runtime-local';
import { Logger } from '@nestjs/common';
import { type DriverNeeds, type Runtimes } from './runtime.module';

/** What the settings ask for. */
export function runtimesOf(settings: Settings): Runtimes {
  return { drivers: (needs) => runtimeDrivers(settings, needs), inspector: new KubernetesInspector() };
}

/**
 * The only list of drivers. The first is where new environments go.
 * @throws SettingsError naming RUNTIME
 */
async function runtimeDrivers({ runtime, clusters }: Settings, needs: DriverNeeds): Promise<readonly RuntimeDriver[]> {
  if (runtime.runtime === 'docker') throw refusal('is docker, and this version has no driver for it (it has: kubernetes, local)');
  const hasClusters = async (): Promise<boolean> => clusters.ownApiServer !== null || (await needs.clusters.list()).length > 0;
  if (runtime.runtime === 'kubernetes' || (runtime.runtime === 'auto' && (await hasClusters()))) {
    const { terminalBufferBytes } = runtime;
    return [new KubernetesDriver({ ...needs, terminalBufferBytes, log: logOf('KubernetesRuntime') })];
  }
  if (!runtime.localAllowed)
    throw refusal('comes to local here, which production refuses unless LOCAL_RUNTIME_IN_PRODUCTION=true; or add a cluster');
  return [localDriver(runtime)];
}

export function localDriver(settings: RuntimeSettings): RuntimeDriver {
  return new LocalDriver({
    dataDir: settings.dataDir,
    network: settings.localNetwork,
    allowUnsandboxedUsers: settings.localAllowUnsandboxedUsers,
    terminalBufferBytes: settings.terminalBufferBytes,
    hostGraceSeconds: settings.terminalHostGraceSeconds,
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
