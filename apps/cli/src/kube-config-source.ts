import { hasCode } from '@devpocket/kernel';
import { readFileSync } from 'node:fs';
import { UserError } from './user-error';

/** @throws UserError */
export function kubeConfigFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, 2);
  }
}

/**
 * Of CLUSTER_KUBECONFIG: a path, or the kubeconfig itself as base64.
 * @throws UserError, which never repeats the value: it may be the secret
 */
export function kubeConfigOf(value: string): string {
  try {
    return readFileSync(value, 'utf8');
  } catch (error) {
    const isPath = hasCode(error, 'EACCES') || hasCode(error, 'EISDIR');
    const bytes = Buffer.from(value, 'base64');
    const packed = value.replace(/\s+/g, '').replace(/=+$/, '');
    if (!isPath && bytes.length > 0 && bytes.toString('base64').replace(/=+$/, '') === packed) return bytes.toString('utf8');
    throw new UserError('CLUSTER_KUBECONFIG is neither a file that can be read nor base64', 2);
  }
}
