import { describeDriverContract } from '@testing/runtime';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalDriver } from './local.driver';

describeDriverContract('the local runtime', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'devpocket-contract-'));
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const make = (): LocalDriver =>
    new LocalDriver({
      chosen: 'for a test',
      dataDir,
      network: 'none',
      allowUnsandboxedUsers: true,
      terminalBufferBytes: 1_048_576,
      hostGraceSeconds: 30,
      hostProgram: null,
      log,
    });
  let current = make();
  await current.open();
  return {
    driver: current,
    reopen: async () => {
      await current.close({ keepTerminals: true });
      current = make();
      await current.open();
      return current;
    },
    close: async () => {
      await current.close({ keepTerminals: false });
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
});
