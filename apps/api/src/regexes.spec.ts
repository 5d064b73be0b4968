import { globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import ts from 'typescript';
import { type Suspect, type Verdict } from '../testing/regex-judge';

const JUDGE = resolve('dist/apps/api/testing/regex-judge.js');
/** Of the processor, for 16 KiB: what is linear takes well below one. */
const MOST_MS = 20;

/** What reads only what the operator wrote, or runs at the client's. */
const OWN = /^libs\/(config|client)\//;
/** A validator of a package that gets texts of any length; addresses are cut to 254 characters before theirs. */
const FOREIGN = ['node_modules/validator/lib/isISO8601.js'];

/** Every regular expression that a text from outside may come to. */
function suspects(): Suspect[] {
  const files = globSync(['apps/api/src/*.ts', 'libs/*/src/*.ts']).filter((file) => !file.endsWith('spec.ts') && !OWN.test(file));
  return [...files, ...FOREIGN].flatMap((file) => {
    const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest);
    const found: Suspect[] = [];
    const visit = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node)) {
        const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
        const [, pattern = '', flags = ''] = /^\/(.*)\/([a-z]*)$/s.exec(node.text) ?? [];
        found.push({ at: `${file}:${line + 1} ${node.text}`, source: pattern, flags });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
    return found;
  });
}

/** @throws Error naming the one that it does not come back from */
function judged(list: readonly Suspect[], stuckMs = 20_000): Promise<Verdict[]> {
  const worker = new Worker(JUDGE, { workerData: list });
  const verdicts: Verdict[] = [];
  return new Promise<Verdict[]>((done, fail) => {
    let at = '';
    let timer: NodeJS.Timeout | undefined;
    const watch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        fail(new Error(`stuck in ${at}`));
        void worker.terminate();
      }, stuckMs);
    };
    worker.on('message', (message: { readonly begun?: string; readonly verdict?: Verdict }) => {
      at = message.begun ?? at;
      if (message.verdict) verdicts.push(message.verdict);
      watch();
    });
    worker.on('error', fail);
    worker.on('exit', () => {
      clearTimeout(timer);
      done(verdicts);
    });
    watch();
  });
}

describe('regular expressions', () => {
  it('are none that a long text can keep busy', async () => {
    const list = suspects();
    expect(list.length).toBeGreaterThan(60);
    const verdicts = await judged(list);
    expect(verdicts).toHaveLength(list.length);
    expect(verdicts.filter(({ worst }) => worst > MOST_MS)).toEqual([]);
  });

  it('would be found if they were', async () => {
    const [quadratic, endless] = ['([?&])([^=&]*)=[^&]*', '(\\d+)+x'].map((source) => ({ at: source, source, flags: 'g' }));
    if (!quadratic || !endless) throw new Error('there are two');
    const [verdict] = await judged([quadratic]);
    expect(verdict?.worst).toBeGreaterThan(MOST_MS);
    await expect(judged([endless], 1_000)).rejects.toThrow(`stuck in ${endless.at}`);
  });
});
