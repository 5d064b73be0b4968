/** Is it an error with this `code`, as Node's system errors have (`ENOENT`, `EEXIST` …)? */
export function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
