import { EngineError } from './engine-error';
import { PullError } from './image-pulls';
import { type Trouble } from './sight';

/** A start that will not come to a good end. */
export class StartError extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble.message);
    this.name = 'StartError';
  }
}

/** Why a start is given up. Null: what went wrong says nothing of it (nobody answered, or somebody else was quicker); it is begun again. */
export function troubleOf(error: unknown): Trouble | null {
  if (error instanceof PullError || error instanceof StartError) return error.trouble;
  if (!(error instanceof EngineError) || error.status === 0) return null;
  const { status, message } = error;
  // An image or a container that was there a moment ago; two networks of one name, of which one goes.
  if (/no such (image|container)|image not known|network .{0,100} is ambiguous/i.test(message)) return null;
  if (
    /available.{0,60} (address|subnet|network)|address pool|subnet.{0,60}(exhaust|free)|no free.{0,60}(subnet|network)/i.test(
      message,
    )
  )
    return {
      reason: 'unschedulable',
      message: `The engine has no addresses for another network (see default-address-pools of its configuration): ${message}`,
      retryable: true,
    };
  if (/no space left on device/i.test(message))
    return { reason: 'volume_failed', message: `The disk of the engine is full: ${message}`, retryable: true };
  if (
    /OCI runtime|OCI permission denied|executable file not found|exec format error|no such file or directory|runc|crun/i.test(
      message,
    )
  )
    return { reason: 'crash_loop', message: `The container cannot start: ${message}`, retryable: false };
  if (status === 404 || status === 409) return null;
  return { reason: 'internal', message, retryable: true };
}
