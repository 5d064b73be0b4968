const faults: string[] = [];

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** @param what is wrong where it does not hold */
export function check(holds: boolean, what: string): void {
  if (holds) return;
  faults.push(what);
  say(`FAULT ${what}`);
}

/** Runs a show to its end, says how many faults it found, and exits: 0 without one. */
export function conclude(show: () => Promise<void>): void {
  const begun = performance.now();
  show().then(
    () => {
      const took = ((performance.now() - begun) / 1000).toFixed(1);
      say(`${faults.length === 0 ? 'no fault' : `${faults.length} faults`} in ${took} s`);
      process.exit(faults.length === 0 ? 0 : 1);
    },
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exit(1);
    },
  );
}
