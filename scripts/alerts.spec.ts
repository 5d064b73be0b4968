import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { localDrivers, TestApi } from '../apps/api/testing';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly page: string };
}

const read = (file: string): unknown => parse(readFileSync(file, 'utf8'));
const rules = (read('scripts/prometheus/alerts.yml') as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

/** What is left of an expression without its labels, ranges, texts and functions. */
function metricsIn(expression: string): readonly string[] {
  const bare = expression.replace(/\{[^}]*\}|\[[^\]]*\]|\bby \([^)]*\)/g, ' ');
  return [...bare.matchAll(/\b([a-z_]{2,})\b(?!\s*\()/g)]
    .map(([, name = '']) => name)
    .filter((name) => !['and', 'by', 'or'].includes(name));
}

describe('alerts', () => {
  const api = new TestApi(localDrivers, { METRICS_TOKEN: 'm'.repeat(16) });
  let exported: string;

  beforeAll(async () => {
    await api.start();
    exported = String((await api.call('GET', '//metrics', { token: 'm'.repeat(16) })).body);
  });
  afterAll(() => api.close());

  it.each(rules)('$alert is of metrics that the server has', ({ expr }) => {
    // Prometheus' own; and the parts of a histogram.
    const names = metricsIn(expr).filter((name) => name !== 'up');
    const missing = names.filter((name) => !exported.includes(`# TYPE ${name.replace(/_(bucket|count|sum)$/, '')} `));
    expect(missing).toEqual([]);
  });

  it.each(rules)('$alert leads to a page of the runbook', ({ labels, annotations }) => {
    expect(['critical', 'warning']).toContain(labels.severity);
    expect(readFileSync('apps/api/RUNBOOK.md', 'utf8')).toContain(`## ${annotations.page}\n`);
  });

  it('are each tried', () => {
    const tried = JSON.stringify(read('scripts/prometheus/alerts.test.yml'));
    expect(rules.map(({ alert }) => alert).filter((alert) => !tried.includes(`"${alert}"`))).toEqual([]);
  });

  it('know of a database that answers', () => {
    expect(exported).toMatch(/^devpocket_health\{check="database"\} 1$/m);
  });
});
