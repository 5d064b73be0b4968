import { type RuntimeSettings, type Settings } from '@devpocket/config';
import { type DatabaseHandle, lookAtIndexes, Migrator, type OpenDatabase } from '@devpocket/database';
import { newId, SystemClock } from '@devpocket/kernel';
import { type Services } from './backend.module';
import { failed, type Finding, finding, ok, warning } from './doctor';

const [FEW_MS, MANY_MS] = [2_000, 30_000];
const KIND: Readonly<Record<DatabaseHandle['kind'], string>> = {
  mongodb: 'MongoDB',
  embedded: 'embedded',
  joined: 'embedded, held by a running server',
};

/** The database as it is: does it answer, keep, tell the same time, and have the shape of this version? */
export async function examineDatabase({ handle, connection }: OpenDatabase): Promise<readonly Finding[]> {
  const writes = async (): Promise<Finding> => {
    const probes = connection.collection<{ _id: string; at: Date }>('doctor');
    const _id = newId();
    const begun = performance.now();
    await probes.insertOne({ _id, at: new Date() });
    const kept = await probes.findOne({ _id });
    await probes.deleteOne({ _id });
    const took = Math.round(performance.now() - begun);
    if (!kept) return failed('database', 'what was written is not there', 'read from the primary; see its log');
    return ok('database', `${KIND[handle.kind]}, writes, reads and deletes in ${took} ms`);
  };
  return [
    await finding('database', 'see that the account of MONGODB_URL may read and write', writes),
    await finding('clock', 'see that the database answers', () => clockOf(connection)),
    await finding('migrations', 'see that the database answers', () => migrationsOf(connection)),
  ];
}

/** Leases, locks and tokens count on clocks that agree. */
async function clockOf(connection: OpenDatabase['connection']): Promise<Finding> {
  const begun = Date.now();
  const hello = await connection.db?.command({ hello: 1 });
  const ended = Date.now();
  const at: unknown = hello?.localTime;
  if (!(at instanceof Date))
    return warning('clock', 'the database does not tell its time', 'see that NTP sets its clock and this one');
  // Within the round trip any time is right.
  const skew = at.getTime() < begun ? begun - at.getTime() : Math.max(0, at.getTime() - ended);
  const message = `${skew} ms from the clock of the database`;
  if (skew <= FEW_MS) return ok('clock', message);
  const mend = 'let NTP set both clocks (timedatectl set-ntp true)';
  return skew > MANY_MS ? failed('clock', message, mend) : warning('clock', message, mend);
}

async function migrationsOf(connection: OpenDatabase['connection']): Promise<Finding> {
  const { applied, pending, unknown, restoring } = await new Migrator(connection, new SystemClock(), {
    log: () => undefined,
  }).status();
  if (restoring !== null)
    return failed(
      'migrations',
      `a restore of ${restoring} has begun and not ended`,
      'run it again: devpocket db restore FILE --force',
    );
  if (unknown.length > 0)
    return failed(
      'migrations',
      `changed by a newer version: ${unknown.join(', ')}`,
      'start that version, or restore a backup of before',
    );
  if (pending.length > 0)
    return warning(
      'migrations',
      `${pending.length} to be done: ${pending.join(', ')}`,
      'devpocket db migrate, or start a server',
    );
  return ok('migrations', `none to be done, ${applied.length} done before`);
}

/** What this machine has to run environments with. */
export interface Grounds {
  readonly local: () => Finding;
  readonly engine: (runtime: RuntimeSettings) => Promise<Finding>;
}

/** What needs the services; only for a database that has the shape of this version. */
export async function examineServices(services: Services, settings: Settings, grounds: Grounds): Promise<readonly Finding[]> {
  const { clusters, measurements, keys, database } = services;
  const { items } = await clusters.list(null, { limit: 100, after: null });
  const measured = items.map(({ id, name }) =>
    finding('cluster', `see to the cluster ${name}, or: devpocket cluster drain ${name}`, async () => {
      const { reading, error } = await measurements.measure(id);
      if (reading)
        return ok('cluster', `${name}: ${reading.nodeCount} nodes, answers in ${Math.round(reading.responseTimeMs)} ms`);
      return failed(
        'cluster',
        `${name}: ${error ?? 'no answer'}`,
        `mend its kubeconfig with: devpocket cluster add ${name} --kubeconfig FILE`,
      );
    }),
  );
  return [
    await finding('indexes', 'devpocket db indexes', async () => {
      const states = await lookAtIndexes(database);
      const named = (which: 'missing' | 'unexpected'): string =>
        states.flatMap((state) => state[which].map((index) => `${state.collection}.${index}`)).join(', ');
      if (named('missing') !== '')
        return warning('indexes', `missing: ${named('missing')}`, 'devpocket db indexes, or start a server');
      if (named('unexpected') !== '')
        return warning('indexes', `in no schema of this version: ${named('unexpected')}`, 'drop them, if they are not your own');
      return ok('indexes', 'all there');
    }),
    await finding('keys', 'see ENCRYPTION_KEY', async () => {
      const unopened = await keys.unopened();
      if (unopened.length === 0) return ok('keys', 'every secret at rest opens');
      const names = unopened.map(({ name }) => name).join(', ');
      return failed(
        'keys',
        `secrets of ${names} open with no key of this server`,
        'put the key that sealed them into ENCRYPTION_KEYS_OLD',
      );
    }),
    ...(await runtimeOf(settings, items.length, grounds)),
    ...(await Promise.all(measured)),
  ];
}

/** As a server chooses at its start. */
export async function runtimeOf(
  { runtime, clusters }: Settings,
  count: number,
  { local, engine }: Grounds,
): Promise<readonly Finding[]> {
  const { runtime: kind, localAllowed } = runtime;
  if (kind === 'docker') return [await engine(runtime)];
  const any = count > 0 || clusters.ownApiServer !== null;
  if (kind === 'kubernetes' && !any)
    return [warning('runtime', 'kubernetes, and there is no cluster yet', 'devpocket cluster add NAME --kubeconfig FILE')];
  if (kind === 'kubernetes' || (kind === 'auto' && any)) return [ok('runtime', `kubernetes, ${count} clusters`)];
  const found = kind === 'auto' ? await engine(runtime) : null;
  if (found && found.status !== 'failed') return [found];
  // That there is none is nothing to mend where none is meant.
  const absent: readonly Finding[] = found ? [ok('engine', found.message)] : [];
  if (!localAllowed)
    return [
      ...absent,
      failed(
        'runtime',
        'comes to local, which production refuses',
        'add a cluster, give it a container engine, or set LOCAL_RUNTIME_IN_PRODUCTION=true',
      ),
    ];
  return [...absent, local()];
}
