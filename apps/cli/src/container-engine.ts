import { type RuntimeSettings } from '@devpocket/config';
import { lookAtEngine } from '@devpocket/runtime-docker';
import { failed, type Finding, ok, warning } from './doctor';

/** Of Docker's API: what the driver calls is there from this version on. */
const LEAST_API = [1, 41] as const;

/** What answers at DOCKER_HOST. The command line's only mention of that driver's library. */
export async function examineEngine({ docker }: Pick<RuntimeSettings, 'docker'>): Promise<Finding> {
  const { host } = docker;
  try {
    const { name, version, apiVersion, keepsContainers } = await lookAtEngine(docker);
    const said = `docker: ${name} ${version}, API ${apiVersion}, at ${host}`;
    const [major = 0, minor = 0] = apiVersion.split('.').map(Number);
    if (major < LEAST_API[0] || (major === LEAST_API[0] && minor < LEAST_API[1]))
      return failed('runtime', `${said}; API ${LEAST_API.join('.')} is needed`, 'use Docker Engine 20.10 or later, or Podman 4');
    const plain = /^(tcp|http):/.test(host) && !docker.tlsVerify;
    if (plain)
      return warning(
        'runtime',
        `${said}, without TLS: whoever reaches that port has that machine`,
        'use the socket, or DOCKER_TLS_VERIFY=1 with DOCKER_CERT_PATH',
      );
    return ok('runtime', keepsContainers === false ? `${said}; a restart of it ends every shell (live-restore is off)` : said);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return failed('runtime', `docker: no engine answers at ${host}: ${why}`, 'see that it runs, and DOCKER_HOST');
  }
}
