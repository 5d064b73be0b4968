import fc from 'fast-check';
import { parentPort, workerData } from 'node:worker_threads';

/** A regular expression of the sources, and where it stands. */
export interface Suspect {
  readonly at: string;
  readonly source: string;
  readonly flags: string;
}

/** The worst that was found of one of them. */
export interface Verdict {
  readonly at: string;
  /** Processor time of one call, in milliseconds. */
  readonly worst: number;
  /** What took it, as it is built: before, what is repeated, behind. */
  readonly by: readonly [string, string, string];
}

/** As long as a header or a URL can be (Node's `maxHeaderSize`). */
const LENGTH = 16_384;
const RUNS = 60;
const EVERYDAY = [...' \t\naA0.-_/:?&=;"\\,@{}[]+%é'];

/** Words and characters of its own are what an expression can be led astray with. */
function tokensOf(source: string): string[] {
  const words = source.replace(/\\[a-zA-Z]/g, ' ').match(/[A-Za-z0-9]{2,}/g) ?? [];
  return [...new Set([...EVERYDAY, ...source.replace(/\\[a-zA-Z]/g, ''), ...words])];
}

/** In this thread's own processor time: a machine that is busy with others makes nothing slower. */
function cost(expression: RegExp, text: string): number {
  const before = process.threadCpuUsage();
  text.replace(expression, '');
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

function judge({ at, source, flags }: Suspect): Verdict {
  const expression = new RegExp(source, flags);
  const token = fc.constantFrom(...tokensOf(source));
  const some = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
    fc.array(token, { minLength, maxLength }).map((tokens) => tokens.join(''));
  let verdict: Verdict = { at, worst: 0, by: ['', '', ''] };
  for (const by of fc.sample(fc.tuple(some(0, 2), some(1, 3), some(0, 2)), { numRuns: RUNS, seed: 1 })) {
    const [before, pump, behind] = by;
    const text = before + pump.repeat(Math.ceil(LENGTH / pump.length)) + behind;
    // The best of two: the first call also compiles it.
    const worst = Math.min(cost(expression, text), cost(expression, text));
    if (worst > verdict.worst) verdict = { at, worst, by };
  }
  return verdict;
}

/** As a worker it judges what it is given, one after the other, and says before each which one it is at. */
if (parentPort) {
  for (const suspect of workerData as readonly Suspect[]) {
    parentPort.postMessage({ begun: suspect.at });
    parentPort.postMessage({ verdict: judge(suspect) });
  }
}
