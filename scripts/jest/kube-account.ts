// Drivers of all suites on a real cluster are an account with the rights that the manifests give a server, and nothing that such a
// driver does may need another: also not where it does without it in silence.
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerAccount } from '../kubernetes/server-account';

let account: ServerAccount | null = null;
const file = join(tmpdir(), `devpocket-server-account-${process.pid}.json`);

export async function setup(): Promise<void> {
  account = await ServerAccount.open(`devpocket-test-${process.pid}`, ['kubelet-usage', 'image-pull-secrets']);
  writeFileSync(file, account.kubeConfig, { mode: 0o600 });
  process.env.DEVPOCKET_TEST_SERVER_KUBECONFIG = file;
}

/** @throws when a right was needed that is not given */
export async function teardown(): Promise<void> {
  rmSync(file, { force: true });
  await account?.close();
  const missing = [...(account?.used ?? [])].filter((right) => account?.granted.has(right) !== true);
  if (missing.length > 0) throw new Error(`The manifests in scripts/kubernetes/rights lack: ${missing.join(', ')}`);
}
