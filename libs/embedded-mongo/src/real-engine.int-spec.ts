import fc from 'fast-check';
import { command, indexes } from '../testing/commands';
import { Comparison, type Tally } from '../testing/comparison';
import { WireClient } from '../testing/wire-client';

/** Compared with MongoDB at MONGODB_URL: random indexes, then random commands, answers and stored bytes. */
const COMMANDS = Number(process.env.EMBEDDED_MONGO_COMMANDS ?? 3000);
const PER_RUN = 30;

it(
  `answers and stores as MongoDB does, in ${COMMANDS} random commands`,
  async () => {
    const url = process.env.MONGODB_URL;
    if (!url) throw new Error('MONGODB_URL is not set: there is nothing to compare with');
    const real = await WireClient.connect(url);
    const total: Tally = { compared: 0, refused: 0, failedAlike: 0 };
    const property = fc.asyncProperty(
      indexes,
      fc.array(command, { minLength: PER_RUN, maxLength: PER_RUN }),
      async (list, commands) => {
        const comparison = new Comparison(real, 'embedded_comparison', 'documents');
        try {
          let difference = await comparison.reset(list);
          for (const each of commands) difference ??= await comparison.run(each);
          if (difference !== undefined) throw new Error(difference);
        } finally {
          comparison.close();
          total.compared += comparison.tally.compared;
          total.refused += comparison.tally.refused;
          total.failedAlike += comparison.tally.failedAlike;
        }
      },
    );
    // What is a difference is told in full already: shrinking it would make thousands of indexes on the other side.
    const outcome = await fc.check(property, { numRuns: Math.ceil(COMMANDS / PER_RUN), endOnFailure: true });
    real.close();
    process.stdout.write(`compared with MongoDB: ${JSON.stringify(total)}\n`);
    if (outcome.failed)
      throw new Error(`seed ${outcome.seed}, path ${outcome.counterexamplePath}: ${String(outcome.errorInstance)}`);
    expect(total.refused).toBeLessThan(total.compared / 5);
    expect(total.failedAlike).toBeLessThan(total.compared / 2);
  },
  COMMANDS * 60,
);
