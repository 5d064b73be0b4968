/** The index keys of a duplicate-key error (MongoDB code 11000), e.g. `['user_id', 'name']`; null for any other error. */
export function duplicateKey(error: unknown): readonly string[] | null {
  if (typeof error !== 'object' || error === null || !('code' in error) || error.code !== 11000) return null;
  if (!('keyPattern' in error) || typeof error.keyPattern !== 'object' || error.keyPattern === null) return [];
  return Object.keys(error.keyPattern);
}
