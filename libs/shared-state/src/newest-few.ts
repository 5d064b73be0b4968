/** Of each key the newest few stay, wherever they are; the oldest give way. */
export abstract class NewestFew {
  /** @returns ids that have to give way, so that `most` are left with this one */
  abstract enter(key: string, id: string, most: number): Promise<readonly string[]>;

  /** It is over. Best effort. */
  abstract leave(key: string, id: string): void;
}

export class MemoryNewestFew extends NewestFew {
  /** In order of entering. */
  private readonly ids = new Map<string, readonly string[]>();

  enter(key: string, id: string, most: number): Promise<readonly string[]> {
    const all = [...(this.ids.get(key) ?? []), id];
    const over = Math.max(0, all.length - most);
    this.ids.set(key, all.slice(over));
    return Promise.resolve(all.slice(0, over));
  }

  leave(key: string, id: string): void {
    const rest = (this.ids.get(key) ?? []).filter((other) => other !== id);
    if (rest.length > 0) this.ids.set(key, rest);
    else this.ids.delete(key);
  }
}
