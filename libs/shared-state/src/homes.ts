/** Where something that lives in one replica alone is. */
export type Home =
  | { readonly here: true }
  | {
      readonly here: false;
      readonly replica: string;
      /** `host:port`, as that replica told it. */
      readonly address: string;
    };

/** Who is at home where: each name at one replica, for as long as that one lives. */
export abstract class Homes {
  /** This replica's own id, another with each start. */
  abstract readonly replica: string;

  /** From now on this replica can be found, at `host:port`. */
  abstract join(address: string): Promise<void>;

  /** Where `name` is at home; what is nobody's becomes this replica's. @throws SharedStateDown */
  abstract claim(name: string): Promise<Home>;

  /** It is nobody's any more. One that is another's is left alone. */
  abstract release(name: string): Promise<void>;

  /** What is at home here. */
  abstract held(): ReadonlySet<string>;

  /** Told of a name that has become another's, because this replica was not heard of in time. @returns the way to stop listening */
  abstract onLost(listener: (name: string) => void): () => void;

  /** Everything here becomes nobody's, and nothing is claimed any more. */
  abstract leave(): Promise<void>;
}

/** There is no other replica. */
export class MemoryHomes extends Homes {
  readonly replica = 'alone';
  private readonly names = new Set<string>();

  join(): Promise<void> {
    return Promise.resolve();
  }

  claim(name: string): Promise<Home> {
    this.names.add(name);
    return Promise.resolve({ here: true });
  }

  release(name: string): Promise<void> {
    this.names.delete(name);
    return Promise.resolve();
  }

  held(): ReadonlySet<string> {
    return this.names;
  }

  onLost(): () => void {
    return () => undefined;
  }

  leave(): Promise<void> {
    this.names.clear();
    return Promise.resolve();
  }
}
