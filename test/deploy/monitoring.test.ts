import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
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
import { selectorsOf } from '../../src/promql/parser/walk.ts';
import { rulerMetrics } from '../../src/ruler/metrics.ts';
import { readRuleFile } from '../../src/ruler/rule-file.ts';

const root = join(import.meta.dirname, '../..');
const files = join(root, 'deploy/helm/pallium/files');
const alerts = readRuleFile(readFileSync(join(files, 'alerts.yaml'), 'utf8'));
/** Labels that a scrape adds. */
const SCRAPED = ['job', 'instance', 'le'];

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

/** Names and labels that an expression asks for and no process shows. */
function unknownIn(expr: string, known: ReadonlyMap<string, readonly string[]>): string[] {
  return selectorsOf(parseExpr(expr)).flatMap((matchers) => {
    const name = matchers.find((matcher) => matcher.name === METRIC_NAME)?.value ?? '';
    const labels = known.get(name);
    if (labels === undefined) return [name];
    return matchers
      .map((matcher) => matcher.name)
      .filter((label) => label !== METRIC_NAME && !SCRAPED.includes(label) && !labels.includes(label))
      .map((label) => `${name}{${label}}`);
  });
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
  assert.deepEqual(unknownIn('pallium_nothing + pallium_build_info{nothing="1"}', known), [
    'pallium_nothing',
    'pallium_build_info{nothing}',
  ]);
});

test('panels of the dashboard for operators ask for metrics that there are', async () => {
  const { panels } = JSON.parse(readFileSync(join(files, 'dashboard.json'), 'utf8')) as {
    panels: readonly { title: string; targets?: readonly { expr: string }[] }[];
  };
  const known = await metricsOfCluster();
  const targets = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
  assert.ok(targets.length >= 20);
  for (const { title, expr } of targets) {
    assert.deepEqual(unknownIn(expr.replaceAll('$__rate_interval', '1m'), known), [], title);
  }
});
