import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MANIFESTS } from './kustomize';

const ROOT = join(MANIFESTS, '../..');
/** As the Dockerfile's: the same program, user and settings. */
const CONFIG = {
  Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'NODE_ENV=production', 'ENVIRONMENT=production', 'HOST=0.0.0.0', 'DATA_DIR=/data'],
  User: 'node',
  WorkingDir: '/app',
  Cmd: ['node', 'dist/apps/api/src/main.js'],
};

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly dev?: boolean; readonly optional?: boolean; readonly devOptional?: boolean }>
  >;
}

/**
 * Makes an image of what is built here as a docker-archive, where there is neither a builder nor a registry: this process's Node with
 * the libraries of this machine that it needs, and the application as `npm ci --omit=dev --omit=optional` would have it. For tests.
 * @returns the image's name, which changes with its content
 */
export function buildServerImage(archive: string): string {
  const work = mkdtempSync(join(tmpdir(), 'devpocket-image-'));
  try {
    const layers = [machineLayer(work), applicationLayer(work)];
    const digests = layers.map((layer) =>
      createHash('sha256')
        .update(readFileSync(join(work, layer)))
        .digest('hex'),
    );
    const name = `localhost/devpocket-server:${createHash('sha256').update(digests.join()).digest('hex').slice(0, 12)}`;
    const config = {
      created: '1970-01-01T00:00:00Z',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: CONFIG,
      rootfs: { type: 'layers', diff_ids: digests.map((digest) => `sha256:${digest}`) },
    };
    writeFileSync(join(work, 'config.json'), JSON.stringify(config));
    writeFileSync(join(work, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: layers }]));
    execFileSync('tar', ['-C', work, '-cf', archive, 'manifest.json', 'config.json', ...layers]);
    return name;
  } finally {
    rmSync(work, { recursive: true });
  }
}

function machineLayer(work: string): string {
  const root = join(work, 'machine');
  const put = (from: string, to: string): void => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    copyFileSync(from, join(root, to));
  };
  put(process.execPath, 'usr/local/bin/node');
  for (const [library] of execFileSync('ldd', [process.execPath], { encoding: 'utf8' }).matchAll(/\/\S+(?= \(0x)/g))
    put(library, library);
  for (const folder of ['etc', 'tmp', 'data', 'app']) mkdirSync(join(root, folder));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/sbin/nologin\nnode:x:1000:1000::/app:/sbin/nologin\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnode:x:1000:\n');
  return pack(work, 'machine.tar', ['-C', root, '.']);
}

function applicationLayer(work: string): string {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const modules = Object.entries(packages)
    .filter(([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional)
    .map(([path]) => path);
  // Those within others come with them.
  const outer = modules.filter((path) => !modules.some((other) => path.startsWith(`${other}/`)));
  return pack(work, 'application.tar', ['-C', ROOT, '--transform=s,^,app/,', 'package.json', 'dist', ...outer]);
}

/** The same files make the same archive. */
function pack(work: string, name: string, what: readonly string[]): string {
  const same = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0'];
  execFileSync('tar', ['-cf', join(work, name), ...same, ...what]);
  return name;
}
