/** As in the OCI distribution specification: parts of a path, joined by single separators. */
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const HOST = /^[A-Za-z0-9.-]+(?::\d{1,5})?$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Is it the reference of an image, `[host[:port]/]path[:tag][@sha256:…]`? Read part by part, so that no text takes long.
 * The first part of a path is a host when it has a dot or a port, or is `localhost` (as Docker has it).
 */
export function isImageReference(text: string): boolean {
  const [named = '', digest, more] = text.split('@');
  if (more !== undefined || (digest !== undefined && !DIGEST.test(digest))) return false;
  const parts = named.split('/');
  const first = parts[0] ?? '';
  if (parts.length > 1 && (/[.:]/.test(first) || first === 'localhost')) {
    if (!HOST.test(first)) return false;
    parts.shift();
  }
  const [last = '', tag, rest] = (parts.pop() ?? '').split(':');
  if (rest !== undefined || (tag !== undefined && !TAG.test(tag))) return false;
  return [...parts, last].every((part) => PATH_PART.test(part));
}
