/** What one check found. */
export interface Finding {
  /** Stable, for programs. */
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'failed';
  readonly message: string;
  /** What to do about it; null when there is nothing to do. */
  readonly mend: string | null;
}

export const ok = (name: string, message: string): Finding => ({ name, status: 'ok', message, mend: null });
export const warning = (name: string, message: string, mend: string): Finding => ({ name, status: 'warning', message, mend });
export const failed = (name: string, message: string, mend: string): Finding => ({ name, status: 'failed', message, mend });

/** A check that breaks is a finding, too. */
export async function finding(name: string, mend: string, work: () => Promise<Finding> | Finding): Promise<Finding> {
  try {
    return await work();
  } catch (error) {
    return failed(name, error instanceof Error ? error.message : String(error), mend);
  }
}

const MARK = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' } as const;

export function lineOf({ name, status, message, mend }: Finding): string {
  return `${MARK[status]}  ${name.padEnd(12)}  ${message}\n${mend === null ? '' : `${' '.repeat(23)}-> ${mend}\n`}`;
}
