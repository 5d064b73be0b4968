import { MongoError, Refusal } from './errors';
import { document, T, type Value } from './value';

/** Inclusion or exclusion of fields of the document itself; paths, expressions and array operators are refused. */
export function parseProjection(projection: Value): (doc: Value) => Value {
  const named = new Set<string>();
  let including: boolean | undefined;
  for (const [name, each] of projection.fields) {
    if ((!each.isNumber && each.type !== T.BOOL) || name === '' || /[.$]/.test(name)) {
      throw new Refusal(2, `the projection of '${name}' is not supported`);
    }
    if (name === '_id') continue;
    including ??= each.truthy;
    if (including !== each.truthy) {
      const [asked, all] = including ? ['exclusion', 'inclusion'] : ['inclusion', 'exclusion'];
      throw new MongoError(including ? 31254 : 31253, `Cannot do ${asked} on field ${name} in ${all} projection`);
    }
    named.add(name);
  }
  if (projection.fields.length === 0) return (doc) => doc;
  const id = projection.get('_id')?.truthy;
  const keep = including ?? id === true;
  if (keep === (id ?? true)) named.add('_id');
  return (doc) => document(doc.fields.filter(([name]) => named.has(name) === keep));
}
