import { environmentManifests, TestCluster } from '@testing/runtime-kubernetes';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { KubernetesWorld, until } from './kubernetes-world';
import { median } from './load';

const run = promisify(execFile);

/** Environments at once over HTTP, until all are shown as running, against kubectl with the same objects, until all pods run. */
export async function compareCreation(count: number, rounds: number): Promise<void> {
  const cluster = await TestCluster.open(`kubectl${randomBytes(3).toString('hex')}`);
  const world = await KubernetesWorld.open(cluster);
  const folder = mkdtempSync(join(tmpdir(), 'devpocket-kubectl-'));
  const ours: number[] = [];
  const peer: number[] = [];
  try {
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await withServer(world, count, round));
      peer.push(await withKubectl(cluster, folder, count, round));
      say(`  round ${round + 1}: devpocket ${seconds(ours[round])}, kubectl ${seconds(peer[round])}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await world.close();
    await cluster.close();
  }
  const ratio = median(ours.map((took, round) => took / (peer[round] ?? Number.NaN)));
  say(`${count} environments at once, until all run (${rounds} rounds)`);
  say(`  devpocket     ${seconds(median(ours))}`);
  say(`  kubectl apply ${seconds(median(peer))}`);
  say(`  ratio         ${ratio.toFixed(2)} × time`);
}

async function withServer(world: KubernetesWorld, count: number, round: number): Promise<number> {
  const begun = performance.now();
  await Promise.all(Array.from({ length: count }, (_, at) => world.create(`r${round}-${at}`)));
  await until('all run', async () => (await world.count('running')) === count, POLL_MS);
  const took = performance.now() - begun;
  await world.clear();
  return took;
}

/** The user's namespace is there already: what kubectl applies must not wait for it. */
async function withKubectl(cluster: TestCluster, folder: string, count: number, round: number): Promise<number> {
  const specs = Array.from({ length: count }, (_, at) => {
    const id = `${round}`.padStart(12, '0') + `${at}`.padStart(12, '0');
    return cluster.spec(id, 1, {
      name: `r${round}-${at}`,
      resources: RESOURCES,
      quota: { active: 100, kept: 100, each: RESOURCES },
    });
  });
  const [first] = specs;
  if (!first) throw new Error('none');
  const { shared } = environmentManifests(first);
  for (const [at, manifest] of shared.entries()) await apply(folder, `shared-${at}`, [manifest]);
  const begun = performance.now();
  await apply(
    folder,
    `round-${round}`,
    specs.flatMap((spec) => environmentManifests(spec).own),
  );
  const namespace = shared[0]?.metadata.name ?? '';
  const query = { fieldSelector: 'status.phase=Running' };
  await until(
    'all pods run',
    async () =>
      (await cluster.api.list(`/api/v1/namespaces/${namespace}/pods`, { query, accept: NAMES_ONLY })).items.length === count,
    POLL_MS,
  );
  const took = performance.now() - begun;
  await cluster.api.delete(`/api/v1/namespaces/${namespace}`);
  await until('the namespace is gone', async () => (await cluster.namespaces()).length === 0);
  return took;
}

const POLL_MS = 250;
const NAMES_ONLY = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
const RESOURCES = { cpuMillis: 100, memoryBytes: 64 * 2 ** 20, storageBytes: 16 * 2 ** 20 };

async function apply(folder: string, name: string, manifests: readonly object[]): Promise<void> {
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests }));
  await run('kubectl', ['apply', '-f', file], { maxBuffer: 2 ** 24 });
}

function seconds(ms = Number.NaN): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
