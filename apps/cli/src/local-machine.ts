import { detectCapabilities } from '@devpocket/runtime-local';
import { failed, type Finding, ok, warning } from './doctor';

/** What this machine has for the local runtime. The command line's only mention of that driver's library. */
export function examineLocalRuntime(): Finding {
  const { bwrap, pasta, slirp4netns, ip } = detectCapabilities();
  const packages = 'apt-get install bubblewrap passt slirp4netns iproute2';
  if (process.platform === 'win32')
    return failed('runtime', 'the local runtime needs a Unix', 'use Linux, macOS or WSL, or add a cluster');
  if (bwrap === null)
    return warning(
      'runtime',
      'local, without a sandbox: bubblewrap is not here or may make no namespaces. One account only, on loopback only',
      `${packages}; in a container, allow user namespaces`,
    );
  if (pasta === null && slirp4netns === null)
    return warning('runtime', 'local, sandboxed; beside other accounts environments have no network', packages);
  if (ip === null) return warning('runtime', `local, sandboxed; environments reach this machine's own addresses`, packages);
  return ok('runtime', 'local, sandboxed, with a network of their own');
}
