/** How many of something that replicas hold somebody has in all. Each replica says how many it has itself. */
export abstract class HeadCounts {
  /**
   * Says that this replica has `own` of `key` now, one more than before, if that is not too many.
   * @returns whether all replicas together then have `most` at most
   */
  abstract admit(key: string, own: number, most: number): Promise<boolean>;

  /** Says that this replica has `own` of `key` now. Best effort: it is said again a little later. */
  abstract tell(key: string, own: number): void;
}

/** There is no other replica. */
export class MemoryHeadCounts extends HeadCounts {
  admit(_key: string, own: number, most: number): Promise<boolean> {
    return Promise.resolve(own <= most);
  }

  tell(): void {
    return;
  }
}
