import { type Connection } from 'mongoose';

/** What became of the indexes of one collection, by name. */
export interface IndexReport {
  readonly collection: string;
  readonly made: readonly string[];
  readonly kept: readonly string[];
  /** In no schema: of another version, or somebody's own. Left as they are. */
  readonly unexpected: readonly string[];
}

/** Of one collection, without a change. */
export interface IndexState {
  readonly collection: string;
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}

type Model = Connection['models'][string];

/** How the driver names an index that nobody names. */
function nameOf([fields, options]: ReturnType<Model['schema']['indexes']>[number]): string {
  const own = (options as { readonly name?: unknown } | undefined)?.name;
  if (typeof own === 'string') return own;
  return Object.entries(fields)
    .map(([field, direction]) => `${field}_${String(direction)}`)
    .join('_');
}

function expectedOf(model: Model): readonly string[] {
  return ['_id_', ...model.schema.indexes().map(nameOf)];
}

/** MongoDB's code 26: there is no such collection yet. */
async function presentOf(model: Model): Promise<readonly string[]> {
  try {
    return (await model.collection.indexes()).map(({ name }) => name ?? '');
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === 26) return [];
    throw error;
  }
}

/** Creates the indexes that the registered schemas name; those that are there already are left as they are. */
export async function ensureIndexes(
  connection: Connection,
  progress?: (done: number, total: number) => void,
): Promise<readonly IndexReport[]> {
  const models = Object.values(connection.models);
  const reports: IndexReport[] = [];
  for (const model of models) {
    const before = await presentOf(model);
    await model.createIndexes();
    const [after, expected] = [await presentOf(model), expectedOf(model)];
    reports.push({
      collection: model.collection.collectionName,
      made: after.filter((name) => !before.includes(name)),
      kept: before.filter((name) => expected.includes(name)),
      unexpected: before.filter((name) => !expected.includes(name)),
    });
    progress?.(reports.length, models.length);
  }
  return reports;
}

/** How the indexes are, for whoever only looks. */
export async function lookAtIndexes(connection: Connection): Promise<readonly IndexState[]> {
  return Promise.all(
    Object.values(connection.models).map(async (model) => {
      const [present, expected] = [await presentOf(model), expectedOf(model)];
      return {
        collection: model.collection.collectionName,
        // The one on `_id` comes with the collection, which comes with its first document.
        missing: expected.filter((name) => name !== '_id_' && !present.includes(name)),
        unexpected: present.filter((name) => !expected.includes(name)),
      };
    }),
  );
}
