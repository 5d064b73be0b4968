const MOST_CLIENT_IDS = 256;

interface Mark {
  accepted: number;
  taken: number;
}

/**
 * How far each client's numbered input got: accepted here, and taken by the PTY. Of too many clients the one whose input is longest
 * ago is forgotten, as the PTY host does too.
 */
export class InputMarks {
  private readonly marks = new Map<string, Mark>();

  constructor(taken: ReadonlyMap<string, number>) {
    for (const [id, seq] of taken) this.marks.set(id, { accepted: seq, taken: seq });
  }

  get(clientId: string): Readonly<Mark> {
    return this.marks.get(clientId) ?? { accepted: 0, taken: 0 };
  }

  /** The mark to move, now the newest. */
  touch(clientId: string): Mark {
    const mark = this.marks.get(clientId) ?? { accepted: 0, taken: 0 };
    this.marks.delete(clientId);
    this.marks.set(clientId, mark);
    const [oldest] = this.marks.keys();
    if (this.marks.size > MOST_CLIENT_IDS && oldest !== undefined) this.marks.delete(oldest);
    return mark;
  }
}
