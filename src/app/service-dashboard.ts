import type { QueryRunner } from '../contract/query.ts';
import type { Dashboard } from '../dashboards/dashboard.ts';
import { generateDashboard } from '../dashboards/generate.ts';
import type { Presence } from '../dashboards/needs.ts';
import { intervalOfSamples } from '../dashboards/rate-interval.ts';
import type { Scope } from '../dashboards/template.ts';
import { getOrMake } from '../lib/map.ts';
import { METRIC_NAME } from '../model/labels.ts';
import type { ServiceId } from '../model/service-id.ts';
import { equals, type ServiceSelectors } from '../services/selectors.ts';

/** The dashboard that a service's metrics make. */
export interface GeneratedDashboard {
  readonly dashboard: Dashboard;
  /** Panels that were left out for their number. */
  readonly leftOut: number;
  /** Between two samples of the service. */
  readonly intervalMs: number;
}

interface Asked {
  readonly tenant: string;
  readonly runner: QueryRunner;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** Above this only the names of a service's metrics are looked at, not those of their labels. */
const SERIES_MAX = 5_000;

/** @throws AppError where the service's own metrics cannot be had */
export async function dashboardOf(
  id: ServiceId,
  selectors: ServiceSelectors,
  asked: Asked,
): Promise<GeneratedDashboard> {
  const all: Readonly<Record<Scope, string>> = { ...selectors, mesh: meshSelector(id) };
  const [own, pods, workload, mesh] = await Promise.all(
    (['own', 'pods', 'workload', 'mesh'] as const).map((scope) => presenceOf(all[scope], asked)),
  );
  const { dashboard, leftOut } = generateDashboard({
    name: id.name,
    title: [id.namespace, id.name].filter((part) => part !== '').join('/'),
    project: asked.tenant,
    selectors: all,
    presence: { own: own!, pods: pods!, workload: workload!, mesh: mesh! },
    metrics: own!.names,
    factsOf: () => undefined,
  });
  return { dashboard, leftOut, intervalMs: await intervalOf(selectors.own, own!.names, asked) };
}

function meshSelector({ namespace, name }: ServiceId): string {
  const place = namespace === '' ? [] : [equals('destination_workload_namespace', namespace)];
  return [equals('destination_workload', name), ...place].join(',');
}

/** Metrics that a selector finds now, with the labels that each has. */
async function presenceOf(selector: string, asked: Asked): Promise<Presence & { readonly names: readonly string[] }> {
  const series = (await numbers(`count({${selector}})`, asked))[0] ?? 0;
  const labels = new Map<string, Set<string>>();
  const isWhole = series <= SERIES_MAX;
  if (series > 0) {
    for (const pairs of await seriesOf(
      isWhole ? `{${selector}}` : `group by (${METRIC_NAME}) ({${selector}})`,
      asked,
    )) {
      const at = pairs.indexOf(METRIC_NAME);
      if (at < 0) continue;
      const known = getOrMake(labels, pairs[at + 1]!, () => new Set<string>());
      for (let i = 0; i < pairs.length; i += 2) known.add(pairs[i]!);
    }
  }
  return {
    names: [...labels.keys()].sort(),
    has: (metric) => labels.has(metric),
    labelsOf: (metric) => (isWhole ? labels.get(metric) : undefined),
  };
}

async function intervalOf(selector: string, names: readonly string[], asked: Asked): Promise<number> {
  const [name] = names.includes('up') ? ['up'] : names;
  if (name === undefined) return intervalOfSamples(0);
  const counts = await numbers(`max(count_over_time({${equals(METRIC_NAME, name)},${selector}}[10m]))`, asked);
  return intervalOfSamples(counts[0] ?? 0);
}

async function seriesOf(expr: string, asked: Asked): Promise<readonly (readonly string[])[]> {
  const { value } = await instant(expr, asked);
  return value.type === 'vector' ? value.pairs : [];
}

async function numbers(expr: string, asked: Asked): Promise<readonly number[]> {
  const { value } = await instant(expr, asked);
  return value.type === 'vector' ? [...value.values] : [];
}

function instant(expr: string, { tenant, runner, nowMs: timeMs, signal }: Asked) {
  return runner.instant(tenant, { expr, timeMs }, { signal });
}
