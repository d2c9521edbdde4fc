import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { METRIC_NAME } from '../../src/model/labels.ts';
import type { LabelMatcher } from '../../src/model/matcher.ts';
import { readRuleFile } from '../../src/ruler/rule-file.ts';
import { parsePrometheusText } from '../../src/wire/exposition/prometheus-text.ts';
import type { Pallium } from './pallium.ts';
import type { PushSeries } from './remote-write.ts';

// Alerts and panels for operators, and what processes show of what they ask for.

const files = join(import.meta.dirname, '../../deploy/helm/pallium/files');

/** Labels that a scrape adds. */
export const SCRAPED: readonly string[] = ['job', 'instance', 'le'];

export const alerts = readRuleFile(readFileSync(join(files, 'alerts.yaml'), 'utf8'));

export interface AskedFor {
  /** Alert or panel. */
  readonly title: string;
  readonly expr: string;
}

/** Expressions of the dashboard, as Grafana sends them. */
export function panelExprs(): AskedFor[] {
  const { panels } = JSON.parse(readFileSync(join(files, 'dashboard.json'), 'utf8')) as {
    panels: readonly { title: string; targets?: readonly { expr: string }[] }[];
  };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ title, expr: expr.replaceAll('$__rate_interval', '1m') })),
  );
}

/** Metrics of a process, as a scrape finds them. */
export interface Scrape {
  /** Names of series that are there, or would be once they count something. */
  readonly names: ReadonlySet<string>;
  readonly series: readonly PushSeries[];
}

/** Metrics as they are now. @param instance the label that tells processes apart */
export async function scrape(server: Pallium, instance: string): Promise<Scrape> {
  const { status, text } = await server.api().ask('/metrics');
  if (status !== 200) throw new Error(`/metrics of ${instance}: ${status} ${text}`);
  const timeMs = Date.now();
  const names = new Set<string>();
  const series: PushSeries[] = [];
  for (const entry of parsePrometheusText(Buffer.from(text))) {
    if (entry.kind === 'type') {
      const ends = entry.text === 'histogram' ? ['_bucket', '_count', '_sum'] : [''];
      for (const end of ends) names.add(entry.metric + end);
    }
    if (entry.kind !== 'series') continue;
    const labels: Record<string, string> = { job: 'pallium', instance };
    for (let at = 0; at < entry.pairs.length; at += 2) labels[entry.pairs[at]!] = entry.pairs[at + 1]!;
    series.push({ labels, samples: [[timeMs, entry.value]] });
  }
  return { names, series };
}

/** Whether some series is chosen by the matchers of a selector, but for labels of the scrape. */
export function isShown({ series }: Pick<Scrape, 'series'>, matchers: readonly LabelMatcher[]): boolean {
  const asked = matchers.filter(({ name }) => !SCRAPED.includes(name));
  return series.some(({ labels }) => asked.every((matcher) => matcher.matches(labels[matcher.name] ?? '')));
}

/** Name of the metric that a selector chooses. */
export function metricOf(matchers: readonly LabelMatcher[]): string {
  return matchers.find(({ name }) => name === METRIC_NAME)?.value ?? '';
}
