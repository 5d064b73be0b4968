import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string } | undefined>>;
}

/** The name under which the docker command keeps what is for Docker Hub. */
const HUB = 'https://index.docker.io/v1/';

/**
 * What `docker login` left in `config.json`: registries that want to know who asks are asked in that account's name. Passwords that a
 * credential helper keeps are not read.
 */
export class RegistryLogins {
  /** @param folder with `config.json`; null: everybody is asked in nobody's name */
  constructor(private readonly folder: string | null) {}

  /** `X-Registry-Auth` for the registry of this image, or nothing. Read anew for each pull, so that a login counts at once. */
  headersFor(image: string): Readonly<Record<string, string>> {
    const registry = registryOf(image);
    const auths = this.read().auths ?? {};
    const names = registry === 'docker.io' ? [HUB, 'docker.io', 'index.docker.io'] : [registry, `https://${registry}`];
    const login = names.map((name) => auths[name]).find((one) => one !== undefined);
    if (!login) return {};
    const [username, ...password] = Buffer.from(login.auth ?? '', 'base64')
      .toString('utf8')
      .split(':');
    const auth = login.identitytoken
      ? { identitytoken: login.identitytoken, serveraddress: registry }
      : { username, password: password.join(':'), serveraddress: registry };
    // base64url with its padding, without which the engine reads nothing.
    const encoded = Buffer.from(JSON.stringify(auth)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
    return { 'X-Registry-Auth': encoded };
  }

  private read(): DockerConfig {
    if (this.folder === null) return {};
    try {
      const config: unknown = JSON.parse(readFileSync(join(this.folder, 'config.json'), 'utf8'));
      return typeof config === 'object' && config !== null ? config : {};
    } catch {
      return {}; // nobody has logged in
    }
  }
}

/** As the docker command reads a reference: a first part with a dot or a colon, or `localhost`, is a registry. */
export function registryOf(image: string): string {
  const [first = ''] = image.split('/');
  return image.includes('/') && (/[.:]/.test(first) || first === 'localhost') ? first : 'docker.io';
}
