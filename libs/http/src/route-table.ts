import { type Request } from 'express';

/** The part of Express 5's router that is read here (express/lib/router, `Layer`). */
interface Layer {
  readonly route?: { readonly methods: Readonly<Record<string, boolean>> };
  match(path: string): boolean;
}

function isLayer(value: unknown): value is Layer {
  return typeof value === 'object' && value !== null && 'match' in value && typeof value.match === 'function';
}

/** The methods that some route of the app has for this request's path; empty for an unknown path. */
export function allowedMethods(request: Request): readonly string[] {
  const router: unknown = request.app.router;
  if (
    (typeof router !== 'object' && typeof router !== 'function') ||
    router === null ||
    !('stack' in router) ||
    !Array.isArray(router.stack)
  )
    return [];
  // Not `request.path`: that is cut where the router is mounted.
  const path = request.originalUrl.split('?')[0] ?? '';
  const methods = new Set<string>();
  for (const layer of router.stack) {
    // What takes every method is a catch-all, not a route.
    if (!isLayer(layer) || !layer.route || 'trace' in layer.route.methods || !matches(layer, path)) continue;
    for (const method of Object.keys(layer.route.methods)) if (method !== '_all') methods.add(method.toUpperCase());
  }
  if (methods.has('GET')) methods.add('HEAD');
  return [...methods].sort();
}

function matches(layer: Layer, path: string): boolean {
  try {
    return layer.match(path);
  } catch {
    return false; // a path with a broken percent-encoding matches nothing
  }
}
