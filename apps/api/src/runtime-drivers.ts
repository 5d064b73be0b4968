import { type RuntimeSettings, SettingsError } from '@devpocket/config';
import { type RuntimeDriver } from '@devpocket/runtime';
import { LocalDriver } from '@devpocket/runtime-local';
import { Logger } from '@nestjs/common';
import { type DriverNeeds, type Runtimes } from './runtime.module';

/** What the settings ask for. */
export function runtimesOf(settings: RuntimeSettings): Runtimes {
  return { drivers: (needs) => runtimeDrivers(settings, needs), inspector: null };
}

/**
 * The only list of drivers. The first is where new environments go.
 * @throws SettingsError naming RUNTIME
 */
export function runtimeDrivers(settings: RuntimeSettings, _needs: DriverNeeds | null): readonly RuntimeDriver[] {
  const refuse = (problem: string): never => {
    throw new SettingsError([{ variable: 'RUNTIME', problem, example: 'local' }]);
  };
  if (settings.runtime === 'docker' || settings.runtime === 'kubernetes')
    refuse(`is ${settings.runtime}, and this version has no driver for it (it has: local)`);
  if (!settings.localAllowed) refuse('comes to local here, which production refuses unless LOCAL_RUNTIME_IN_PRODUCTION=true');
  const logger = new Logger('LocalRuntime');
  return [
    new LocalDriver({
      dataDir: settings.dataDir,
      network: settings.localNetwork,
      allowUnsandboxedUsers: settings.localAllowUnsandboxedUsers,
      terminalBufferBytes: settings.terminalBufferBytes,
      hostGraceSeconds: settings.terminalHostGraceSeconds,
      log: {
        info: (message) => logger.log(message),
        warn: (message) => logger.warn(message),
        error: (message) => logger.error(message),
      },
    }),
  ];
}
