import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** As the docker command understands DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ("Use the Docker command line", environment). */
export interface EngineSettings {
  /** `unix:///path`, `tcp://host[:port]`, `http://…` or `https://…`. */
  readonly host: string;
  readonly tlsVerify: boolean;
  /** A folder with `ca.pem`, `cert.pem` and `key.pem`. */
  readonly certPath: string | null;
}

export type EngineAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls: boolean };

const PORT = 2375;
const TLS_PORT = 2376;

/** @throws TypeError for what is no address */
export function addressOf({ host, tlsVerify }: Pick<EngineSettings, 'host' | 'tlsVerify'>): EngineAddress {
  if (host.startsWith('unix://')) return { kind: 'unix', path: host.slice('unix://'.length) };
  const url = new URL(host.replace(/^tcp:/, 'http:'));
  const tls = tlsVerify || url.protocol === 'https:';
  const port = url.port === '' ? (tls ? TLS_PORT : PORT) : Number(url.port);
  return { kind: 'tcp', host: url.hostname.replace(/^\[|\]$/g, ''), port, tls };
}

export interface EngineCertificates {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws Error naming the file that cannot be read */
export function certificatesIn(folder: string): EngineCertificates {
  const read = (name: string): Buffer => {
    try {
      return readFileSync(join(folder, name));
    } catch (error) {
      throw new Error(`DOCKER_CERT_PATH is ${folder}, and its ${name} cannot be read`, { cause: error });
    }
  };
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}
