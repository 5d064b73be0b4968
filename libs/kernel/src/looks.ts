const done = (): void => undefined;

/**
 * One look at a time for each key. Who comes while one is under way shares the next with all others who do: no answer is older than its question,
 * and a crowd that asks the same thing costs two looks.
 */
export class Looks<T> {
  private readonly running = new Map<string, { next: Promise<T> | null; readonly over: Promise<void> }>();

  /** Rejects as `look` does. */
  get(key: string, look: () => Promise<T>): Promise<T> {
    const running = this.running.get(key);
    if (!running) return this.begin(key, look);
    running.next ??= running.over.then(() => this.begin(key, look));
    return running.next;
  }

  private begin(key: string, look: () => Promise<T>): Promise<T> {
    const found = (async () => look())(); // what throws at once fails as well
    const over = found.then(done, done).then(() => {
      if (!running.next) this.running.delete(key);
    });
    const running: { next: Promise<T> | null; readonly over: Promise<void> } = { next: null, over };
    this.running.set(key, running);
    return found;
  }
}
