import { type RuntimeSettings } from '@devpocket/config';
import { type RuntimeDriver } from '@devpocket/runtime';
import { LocalDriver } from '@devpocket/runtime-local';
import { Logger } from '@nestjs/common';

/** The only list of drivers. The first is where new environments go. */
export function runtimeDrivers(settings: RuntimeSettings): readonly RuntimeDriver[] {
  if (settings.runtime === 'docker' || settings.runtime === 'kubernetes') {
    throw new Error(`RUNTIME=${settings.runtime}: this version has no driver for it (it has: local)`);
  }
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
