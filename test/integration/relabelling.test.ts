// biome-ignore-all lint/suspicious/noTemplateCurlyInString: templates of relabelling look like those of JavaScript
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { Relabelling } from '../../src/limits/relabel.ts';
import { Labels } from '../../src/model/labels.ts';
import { ApiClient } from '../harness/api.ts';
import { startNewestPrometheus } from '../harness/peers.ts';
import { until } from '../harness/wait.ts';

// Random rules of relabelling, each set of them in a scrape of its own: a real Prometheus and we must make the same series.

const RULE_SETS = Number(process.env.RULE_SETS ?? 2_000);
const SEED = Number(process.env.SEED ?? 20261129);

const SERIES: readonly Readonly<Record<string, string>>[] = Array.from({ length: 16 }, (_, i) => ({
  __name__: `metric_${i % 4}`,
  a: `value-${i % 3}`,
  b: i % 2 === 0 ? 'x;y' : 'Grüße',
  ...(i % 4 === 0 ? {} : { c: `10.0.0.${i}:9100` }),
  d: String(i),
}));

const exposition = SERIES.map(
  ({ __name__, ...labels }) =>
    `${__name__}{${Object.entries(labels)
      .map(([name, value]) => `${name}="${value}"`)
      .join(',')}} 1\n`,
).join('');

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

const NAMES = ['a', 'b', 'c', 'd', '__name__', 'missing', 'e'];
const REGEXES = [
  '(.*)',
  '.+',
  'value-(\\d)',
  '(.+);(.+)',
  'x;y',
  'metric_([02])',
  '(?i)GRÜ.*',
  '[0-9]+',
  '(\\d+)\\.(.*):\\d+',
  '',
  '(a)|(b)',
  '(?P<host>[^:]*):(?P<port>.*)',
];
const REPLACEMENTS = ['$1', '${1}', '$2-$1', 'fixed', '${host}', '$$', '', '$0', '$1x', 'é$1'];
/** Job and name stay, so that series can be found again. */
const KEPT = '__name__|job|instance';

function randomStep(random: Random): Record<string, unknown> {
  const sources = Array.from({ length: Math.floor(random() * 3) }, () => pick(random, NAMES));
  const target = pick(random, ['a', 'b', 'c', 'e', 'f', 'new_${1}', '${1}_new']);
  switch (
    pick(random, [
      'replace',
      'replace',
      'replace',
      'name',
      'keep',
      'drop',
      'keepequal',
      'dropequal',
      'hashmod',
      'labelmap',
      'labeldrop',
      'labelkeep',
      'lowercase',
      'uppercase',
    ])
  ) {
    case 'replace':
      return {
        source_labels: sources,
        separator: pick(random, [';', '', '-', '::']),
        regex: pick(random, REGEXES),
        target_label: target,
        replacement: pick(random, REPLACEMENTS),
      };
    case 'name':
      return {
        source_labels: ['__name__'],
        regex: 'metric_(.)',
        target_label: '__name__',
        replacement: pick(random, ['m_$1', 'one']),
      };
    case 'keep':
      return { source_labels: sources, regex: pick(random, ['.*', ...REGEXES]), action: 'keep' };
    case 'drop':
      return { source_labels: sources, regex: pick(random, REGEXES.slice(2)), action: 'drop' };
    case 'keepequal':
      return {
        source_labels: [pick(random, ['a', 'b'])],
        target_label: pick(random, ['a', 'b', 'e']),
        action: 'keepequal',
      };
    case 'dropequal':
      return { source_labels: [pick(random, NAMES)], target_label: pick(random, ['a', 'e']), action: 'dropequal' };
    case 'hashmod':
      return {
        source_labels: sources,
        target_label: pick(random, ['e', 'f']),
        modulus: 1 + Math.floor(random() * 1000),
        action: 'hashmod',
      };
    case 'labelmap':
      return {
        regex: pick(random, ['(a|b)', '([c-e])', 'd']),
        replacement: pick(random, ['mapped_$1', '$1', 'same']),
        action: 'labelmap',
      };
    case 'labeldrop':
      return { regex: pick(random, ['a', '[bc]', 'mapped_.*', 'new_.*', 'zz']), action: 'labeldrop' };
    case 'labelkeep':
      return { regex: `${KEPT}|${pick(random, ['a|b', '[a-d]', 'a.*'])}`, action: 'labelkeep' };
    case 'lowercase':
      return { source_labels: sources, target_label: pick(random, ['b', 'f']), action: 'lowercase' };
    default:
      return { source_labels: sources, target_label: pick(random, ['b', 'f']), action: 'uppercase' };
  }
}

/** A random set of rules that we take; what is refused is compared elsewhere. */
function randomRules(random: Random): {
  readonly steps: readonly Record<string, unknown>[];
  readonly rules: Relabelling;
} {
  for (;;) {
    const steps = Array.from({ length: 1 + Math.floor(random() * 4) }, () => randomStep(random));
    try {
      return { steps, rules: Relabelling.parse(steps) };
    } catch (thrown) {
      if (!(thrown instanceof RangeError)) throw thrown;
    }
  }
}

test(`${RULE_SETS} random sets of rules make what they make in Prometheus`, { timeout: 240_000 }, async () => {
  const random = seededRandom(SEED);
  const exporter = http.createServer((_, answer) => {
    answer.setHeader('content-type', 'text/plain; version=0.0.4');
    answer.end(exposition);
  });
  await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
  const instance = `127.0.0.1:${(exporter.address() as AddressInfo).port}`;
  const sets = Array.from({ length: RULE_SETS }, () => randomRules(random));
  const jobs = sets.map(({ steps }, i) => ({
    job_name: `job-${i}`,
    static_configs: [{ targets: [instance] }],
    metric_relabel_configs: steps,
  }));
  try {
    // JSON is YAML
    const config = JSON.stringify({ global: { scrape_interval: '2s' }, scrape_configs: jobs });
    await using prometheus = await startNewestPrometheus({ config });
    const api = new ApiClient(prometheus.url);
    const scraped = async () => {
      const { result } = await api.instant('count(up)', Date.now() / 1000);
      return Number(result[0]?.value?.[1] ?? 0) === RULE_SETS;
    };
    await until('every job scraped', scraped, { timeoutMs: 180_000, intervalMs: 500 });
    // a scrape fails as a whole where rules leave a series without a name, or make one twice
    const { result: up } = await api.instant('up == 1', Date.now() / 1000);
    const scrapes = new Set(up.map(({ metric }) => metric.job!));
    assert.ok(scrapes.size > 0.7 * RULE_SETS, `${scrapes.size} scrapes of ${RULE_SETS}`);
    const found = new Map<string, Set<string>>();
    const series = await api.data<Record<string, string>[]>('/api/v1/series', {
      'match[]': '{__name__!~"up|scrape_.*", job=~"job-.*"}',
      start: Date.now() / 1000 - 600,
      end: Date.now() / 1000 + 60,
    });
    for (const labels of series) {
      const of = found.get(labels.job!) ?? new Set();
      found.set(labels.job!, of.add(Labels.fromEntries(Object.entries(labels)).toString()));
    }
    const wrong: string[] = [];
    for (const [i, { steps, rules }] of sets.entries()) {
      if (!scrapes.has(`job-${i}`)) continue;
      const want = new Set<string>();
      for (const labels of SERIES) {
        const became = rules.apply(Labels.fromEntries(Object.entries({ ...labels, job: `job-${i}`, instance })));
        if (became !== undefined) want.add(became.toString());
      }
      const got = found.get(`job-${i}`) ?? new Set();
      if (want.symmetricDifference(got).size > 0) {
        const [ours, theirs] = [[...want.difference(got)], [...got.difference(want)]];
        wrong.push(`${JSON.stringify(steps)}: here ${ours.slice(0, 2)}, in Prometheus ${theirs.slice(0, 2)}`);
      }
    }
    assert.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${RULE_SETS} differ, SEED=${SEED}`);
  } finally {
    exporter.closeAllConnections();
    exporter.close();
  }
});
