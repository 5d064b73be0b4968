import { MongoError, Refusal } from './errors';
import { array, document, T, type Field, type Value } from './value';

type Tree = Map<string, Tree | true>;

/** Which fields of a document are shown. */
export type Projection = (doc: Value) => Value;

/** Inclusions or exclusions by path; expressions and array operators are refused. */
export function parseProjection(projection: Value): Projection | undefined {
  if (projection.fields.length === 0) return undefined;
  const tree: Tree = new Map();
  let including: boolean | undefined;
  let id: boolean | undefined;
  for (const [path, each] of projection.fields) {
    if (!each.isNumber && each.type !== T.BOOL)
      throw new Refusal(2, `only inclusion and exclusion are supported in projections, not '${path}'`);
    if (path === '_id') {
      id = each.truthy;
      continue;
    }
    including ??= each.truthy;
    if (including !== each.truthy) {
      throw including
        ? new MongoError(31254, `Cannot do exclusion on field ${path} in inclusion projection`)
        : new MongoError(31253, `Cannot do inclusion on field ${path} in exclusion projection`);
    }
    graft(tree, path);
  }
  including ??= id === true;
  if (including === (id ?? true)) tree.set('_id', true);
  return including ? (doc) => include(doc, tree) : (doc) => exclude(doc, tree);
}

function graft(tree: Tree, path: string): void {
  const parts = path.split('.');
  let branch = tree;
  parts.forEach((part, at) => {
    if (part === '' || part.startsWith('$') || parts[0] === '_id')
      throw new Refusal(2, `the projection path '${path}' is not supported`);
    const found = branch.get(part);
    if (found === true || (found && at === parts.length - 1)) {
      throw found === true
        ? new MongoError(31249, `Path collision at ${path} remaining portion ${parts.slice(1).join('.')}`)
        : new MongoError(31250, `Path collision at ${path}`);
    }
    if (at === parts.length - 1) branch.set(part, true);
    else branch.set(part, (branch = found ?? new Map<string, Tree | true>()));
  });
}

function include(doc: Value, tree: Tree): Value {
  return document(
    doc.fields.flatMap(([name, value]): readonly Field[] => {
      const wanted = tree.get(name);
      if (!wanted) return [];
      if (wanted === true) return [[name, value]];
      const part = includeBelow(value, wanted);
      return part ? [[name, part]] : [];
    }),
  );
}

function includeBelow(value: Value, tree: Tree): Value | undefined {
  if (value.type === T.OBJECT) return include(value, tree);
  if (value.type !== T.ARRAY) return undefined;
  return array(value.fields.flatMap(([, each]) => includeBelow(each, tree) ?? []));
}

function exclude(doc: Value, tree: Tree): Value {
  return document(
    doc.fields.flatMap(([name, value]): readonly Field[] => {
      const out = tree.get(name);
      return out === true ? [] : [[name, out ? excludeBelow(value, out) : value]];
    }),
  );
}

function excludeBelow(value: Value, tree: Tree): Value {
  if (value.type === T.OBJECT) return exclude(value, tree);
  return value.type === T.ARRAY ? array(value.fields.map(([, each]) => excludeBelow(each, tree))) : value;
}
