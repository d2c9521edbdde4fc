import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { makeAlertmanagerMetrics } from '../../src/alertmanager/metrics.ts';
import { composeApp } from '../../src/app/compose.ts';
import { sections } from '../../src/app/config.ts';
import { modules, resolveTargets } from '../../src/app/modules/modules.ts';
import { loadConfig } from '../../src/kit/config/load.ts';
import { silentLogger } from '../../src/kit/observe/log.ts';
import { Registry } from '../../src/kit/observe/metrics.ts';
import { processObserver } from '../../src/kit/service/process-observer.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { METRIC_NAME } from '../../src/model/labels.ts';
import { parseExpr } from '../../src/promql/index.ts';
import type { Expr } from '../../src/promql/parser/ast.ts';
import { childrenOf, selectorsOf } from '../../src/promql/parser/walk.ts';
import { rulerMetrics } from '../../src/ruler/metrics.ts';
import { alerts, metricOf, panelExprs, SCRAPED } from '../harness/monitoring.ts';

const root = join(import.meta.dirname, '../..');

/** Names of labels by name of metric: all that a process of a cluster may show. */
async function metricsOfCluster(): Promise<Map<string, readonly string[]>> {
  const args = ['-distributor.replication-factor=3', '-schema.store=dynamodb', '-schema.object-store=none'];
  const apps = await Promise.all(
    ['all', 'query-scheduler'].map((target) => {
      const { values } = loadConfig(sections, { args: [...args, `-target=${target}`], env: {} });
      const order = resolveTargets([target], modules, true);
      return composeApp({ config: values, version: '1', order, log: silentLogger, clock: systemClock });
    }),
  );
  // threads have registries of their own
  const [ruler, alertmanager, observed] = [new Registry(), new Registry(), new Registry()];
  rulerMetrics(ruler);
  makeAlertmanagerMetrics(alertmanager);
  const observer = processObserver(observed, '1', systemClock);
  const over = AbortSignal.abort();
  await observer.start?.(over);
  await observer.stop?.({ signal: over, progress() {} });
  const known = new Map<string, readonly string[]>([['up', []]]);
  for (const registry of [...apps.map((app) => app.registry), ruler, alertmanager, observed]) {
    for (const metric of registry.getMetricsAsArray()) {
      const { name, labelNames = [] } = metric as { name: string; labelNames?: readonly string[] };
      for (const end of ['', '_count', '_bucket', '_sum']) known.set(name + end, labelNames);
    }
  }
  return known;
}

/** Names and labels that an expression asks for, or groups by, and no process shows. */
function unknownIn(expr: string, known: ReadonlyMap<string, readonly string[]>): string[] {
  const parsed = parseExpr(expr);
  return [
    ...selectorsOf(parsed).flatMap((matchers) => {
      const name = metricOf(matchers);
      if (!known.has(name)) return [name];
      const labels = matchers.map((matcher) => matcher.name).filter((label) => label !== METRIC_NAME);
      return unknownOf(labels, [name], known).map((label) => `${name}{${label}}`);
    }),
    ...unknownGroupings(parsed, known).map((label) => `by (${label})`),
  ];
}

function unknownGroupings(expr: Expr, known: ReadonlyMap<string, readonly string[]>): string[] {
  const below = childrenOf(expr).flatMap((child) => unknownGroupings(child, known));
  if (expr.kind !== 'aggregate') return below;
  return [...below, ...unknownOf(expr.grouping, selectorsOf(expr).map(metricOf), known)];
}

/** Labels that none of the metrics has. */
function unknownOf(
  labels: readonly string[],
  metrics: readonly string[],
  known: ReadonlyMap<string, readonly string[]>,
): string[] {
  return labels.filter(
    (label) => !SCRAPED.includes(label) && !metrics.some((name) => known.get(name)?.includes(label)),
  );
}

test('alerts for operators ask for metrics that there are, and have a paragraph each', async () => {
  assert.deepEqual(alerts.errors, []);
  const known = await metricsOfCluster();
  const page = readFileSync(join(root, 'docs/operating.md'), 'utf8');
  const rules = alerts.groups.flatMap((group) => group.rules);
  assert.ok(rules.length >= 20);
  for (const { name, expr } of rules) {
    assert.deepEqual(unknownIn(expr, known), [], name);
    assert.match(page, new RegExp(`^### ${name}$`, 'm'));
  }
  const headings = [...page.matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(
    headings,
    rules.map(({ name }) => name),
  );
  assert.deepEqual(unknownIn('pallium_nothing + sum by (version, odd) (pallium_build_info{nothing="1"})', known), [
    'pallium_nothing',
    'pallium_build_info{nothing}',
    'by (odd)',
  ]);
});

test('panels of the dashboard for operators ask for metrics that there are', async () => {
  const known = await metricsOfCluster();
  const targets = panelExprs();
  assert.ok(targets.length >= 20);
  for (const { title, expr } of targets) assert.deepEqual(unknownIn(expr, known), [], title);
});

test('rules for a metrics adapter ask for metrics that there are', async () => {
  const { rules } = parse(readFileSync(join(root, 'deploy/helm/pallium/files/adapter.yaml'), 'utf8')) as {
    rules: Record<string, readonly { seriesQuery: string; metricsQuery: string }[]>;
  };
  const known = await metricsOfCluster();
  for (const { seriesQuery, metricsQuery } of Object.values(rules).flat()) {
    const names = seriesQuery.match(/pallium_\w+/g)!;
    for (const name of names) {
      assert.ok(known.has(name), name);
      // as the adapter puts it together
      const filled = { '<<.Series>>': name, '<<.LabelMatchers>>': 'namespace="metrics"', '<<.GroupBy>>': 'pod' };
      parseExpr(Object.entries(filled).reduce((text, [mark, put]) => text.replaceAll(mark, put), metricsQuery));
    }
  }
});
