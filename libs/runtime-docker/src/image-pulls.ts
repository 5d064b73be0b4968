import { imageReason } from '@devpocket/container-runtime';
import { linesOf } from './answer-lines';
import { type Engine } from './engine';
import { EngineError, isAbsent } from './engine-error';
import { failureIn, type PullMessage, PullProgress, pullQuery } from './pull-progress';
import { type RegistryLogins } from './registry-logins';
import { type Trouble } from './sight';

/** Nothing is heard of a pull for so long: the registry or the engine hangs. */
const SILENT_MS = 120_000;

/** An image that cannot be had, and why. */
export class PullError extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble.message);
    this.name = 'PullError';
  }
}

interface Pull {
  readonly progress: PullProgress;
  readonly done: Promise<void>;
  readonly stop: AbortController;
  readonly listeners: Set<(share: number) => void>;
}

/**
 * Images that are fetched, each once however many wait for it. Layers that a pull which was cut off had whole are the engine's, so the
 * next one goes on with the rest.
 */
export class ImagePulls {
  private readonly pulls = new Map<string, Pull>();

  constructor(
    private readonly engine: Engine,
    private readonly logins: RegistryLogins,
  ) {}

  async isPresent(image: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.engine.get(`/images/${pathOf(image)}/json`, { signal });
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      // "invalid reference format"
      if (error instanceof EngineError && error.status === 400) throw pullError(error.message);
      throw error;
    }
  }

  /**
   * Fetches an image that is not there. Ends early when the signal does, and with the last who waits the pull itself.
   * @param onShare how far it is, 0–1
   * @throws PullError, EngineError
   */
  async pull(image: string, onShare: (share: number) => void, signal: AbortSignal): Promise<void> {
    const pull = this.pulls.get(image) ?? this.begin(image);
    pull.listeners.add(onShare);
    onShare(pull.progress.share);
    const given = Promise.withResolvers<never>();
    const giveUp = (): void => given.reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      await Promise.race([pull.done, given.promise]);
    } finally {
      signal.removeEventListener('abort', giveUp);
      pull.listeners.delete(onShare);
      if (pull.listeners.size === 0) {
        pull.stop.abort();
        if (this.pulls.get(image) === pull) this.pulls.delete(image);
      }
    }
  }

  private begin(image: string): Pull {
    const progress = new PullProgress();
    const stop = new AbortController();
    const listeners = new Set<(share: number) => void>();
    const done = this.run(image, progress, stop, listeners);
    const pull = { progress, done, stop, listeners };
    this.pulls.set(image, pull);
    const over = (): void => void (this.pulls.get(image) === pull && this.pulls.delete(image));
    // Whoever waits is told; with nobody waiting it is nobody's news.
    done.then(over, over);
    return pull;
  }

  private async run(
    image: string,
    progress: PullProgress,
    stop: AbortController,
    listeners: ReadonlySet<(share: number) => void>,
  ): Promise<void> {
    let silent = false;
    const timer = setTimeout(() => {
      silent = true;
      stop.abort();
    }, SILENT_MS);
    try {
      const call = { query: pullQuery(image), signal: stop.signal, timeoutMs: SILENT_MS, headers: this.logins.headersFor(image) };
      const answer = await this.engine.stream('POST', '/images/create', call);
      for await (const line of linesOf(answer)) {
        timer.refresh();
        const message = parse(line);
        const failure = message && failureIn(message);
        if (failure) throw pullError(failure);
        if (message) progress.take(message);
        for (const listener of listeners) listener(progress.share);
      }
    } catch (error) {
      if (silent) throw pullError(`Nothing was heard of the pull for ${SILENT_MS / 1000} s`);
      if (error instanceof EngineError && error.status > 0) throw pullError(error.message);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    // A connection that broke ends like one that was closed.
    if (!(await this.isPresent(image, stop.signal))) throw new EngineError(0, 'The pull was cut off');
  }
}

function pullError(message: string): PullError {
  const invalid = /invalid reference/i.test(message);
  const reason = invalid ? 'image_not_found' : imageReason(message);
  return new PullError({ reason, message, retryable: reason === 'image_pull_failed' });
}

function pathOf(image: string): string {
  return image.split('/').map(encodeURIComponent).join('/');
}

function parse(line: string): PullMessage | null {
  try {
    const message: unknown = JSON.parse(line);
    return typeof message === 'object' && message !== null ? message : null;
  } catch {
    return null; // cut off in a line
  }
}
