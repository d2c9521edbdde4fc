import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Random, seededRandom } from '../../src/lib/random.ts';
import { ApiClient } from '../harness/api.ts';
import { CLOSE, difference, sorted } from '../harness/compare.ts';
import { Pallium } from '../harness/pallium.ts';
import { isPrometheus3Installed, type Peer, startNewestPrometheus } from '../harness/peers.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { Expressions, type FuzzMetric } from './expressions.ts';

const COUNT = Number(process.env.FUZZ_EXPRESSIONS ?? 10_000);
const SEED = Number(process.env.SEED ?? Date.now() % 1e9);
const CONCURRENCY = 4;

/** The data starts two hours ago, at a whole minute, so that a server takes it as new. */
const START_MS = Math.floor(Date.now() / 60_000) * 60_000 - 7_200_000;
const STEPS = 200;
const STEP_MS = 15_000;
/** Off whole seconds: Prometheus 2 closes windows on the left, where subqueries have their steps. */
const PHASE_MS = 137;

/** How the values of a metric come about, from one step to the next. */
const METRICS: readonly (FuzzMetric & { readonly next: (last: number, random: Random) => number })[] = [
  {
    name: 'requests_total',
    labels: ['instance', 'job', 'code'],
    values: ['0', '1', '2'],
    // a counter with resets
    next: (last, random) => (random() < 0.03 ? Math.floor(random() * 5) : last + Math.floor(random() * 20)),
  },
  {
    name: 'temperature',
    labels: ['instance', 'job'],
    values: ['0', '1'],
    next: (last, random) => last + (random() - 0.5) * 10,
  },
  {
    name: 'queue_length',
    labels: ['instance', 'code'],
    values: ['0', '2'],
    // ties are wanted, and values that are none
    next: (_, random) =>
      random() < 0.02 ? [NaN, Infinity, -Infinity, 1e300][Math.floor(random() * 4)]! : Math.floor(random() * 4),
  },
  {
    name: 'latency_bucket',
    labels: ['job', 'le'],
    values: ['0.1', '1', '+Inf'],
    next: (last, random) => last + Math.floor(random() * 10),
  },
];

describe(`${COUNT} random questions get the same answers as from Prometheus`, () => {
  let server: Pallium;
  let peer: Peer;
  before(async () => {
    console.log(`SEED=${SEED}, against Prometheus ${isPrometheus3Installed ? '3.16' : '2.42'}`);
    [server, peer] = await Promise.all([Pallium.start(), startNewestPrometheus()]);
    await load(seededRandom(SEED), [`${server.url}/api/v1/push`, `${peer.url}/api/v1/write`]);
  });
  after(() => Promise.all([server?.[Symbol.asyncDispose](), peer?.[Symbol.asyncDispose]()]));

  test('from the head', () => ask(SEED + 1, Math.ceil(COUNT / 2)));

  test('from the store', async () => {
    await server.flush();
    await ask(SEED + 2, Math.floor(COUNT / 2));
  });

  const ask = async (seed: number, count: number) => {
    const [theirs, ours] = [new ApiClient(peer.url), server.api()];
    const random = seededRandom(seed);
    const expressions = new Expressions({ random, metrics: METRICS, legacy: !isPrometheus3Installed });
    const wrong: string[] = [];
    let answered = 0;
    let excused = 0;
    let next = 0;
    const lane = async () => {
      while (next++ < count && wrong.length < 20) {
        const path = question(random, expressions);
        const [want, got] = await Promise.all([theirs.ask(path), ours.ask(path)]);
        if (want.status === 200 && !want.text.includes('"result":[]')) answered++;
        const why = compare(want, got);
        if (why !== undefined && (isOfVersion(path, why) || isRounding(path, why))) excused++;
        else if (why !== undefined) wrong.push(`${decodeURIComponent(path.replaceAll('+', ' '))}\n    ${why}`);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lane));
    console.log(
      `${count} questions, ${answered} answers that were not empty, ${wrong.length} differ, ${excused} by version or rounding; SEED=${SEED}`,
    );
    // 2.42 adds up without compensation, and what follows may round the other way
    const allowed = isPrometheus3Installed ? 0 : count / 500;
    if (wrong.length > allowed) assert.deepEqual(wrong, [], `SEED=${SEED}`);
    for (const each of wrong) console.log(each);
    assert.ok(excused <= count / 500, `${excused} of ${count} were excused: more than rounding explains`);
    assert.ok(answered > count / 4, `only ${answered} of ${count} were answered with something`);
  };
});

function compare(want: { status: number; text: string }, got: { status: number; text: string }): string | undefined {
  if (want.status !== got.status) {
    return `status ${want.status} wanted, there is ${got.status}: ${want.text.slice(0, 200)} | ${got.text.slice(0, 200)}`;
  }
  if (want.status !== 200) return undefined;
  // warnings and infos differ between versions
  const data = (text: string) => sorted({ data: (JSON.parse(text) as { data: unknown }).data });
  return difference(data(want.text), data(got.text), CLOSE);
}

/** Whether Prometheus 3.14, whose answers are the measure, differs from the one that is asked. */
function isOfVersion(path: string, why: string): boolean {
  // 2.42 does not look for doubles where nothing matches
  if (!isPrometheus3Installed && /^status 200 wanted.*"result":\[\].*multiple matches/.test(why)) return true;
  // 3.16 gives infinity for a quantile between infinite values, 3.14 infinity times 0
  return /quantile/.test(path) && /wanted "[+-]Inf", there is "NaN"$/.test(why);
}

/** What may differ in its last digits: by the order in which series are added up, or between the languages' functions. */
const INEXACT = /stddev|stdvar|\^|\b(exp|ln|log2|log10|a?sinh?|a?cosh?|a?tanh?|atan2)\b/;
/** What makes a large difference of a small one. */
const STEPPED = /%|\b(floor|ceil|round|sgn|changes|resets)\b/;

/** Whether only a last digit differs that something else in the question made visible. */
function isRounding(path: string, why: string): boolean {
  const [, want, got] = /wanted "([^"]*)", there is "([^"]*)"$/.exec(why) ?? [];
  if (want === undefined) return false;
  const query = new URLSearchParams(path.slice(path.indexOf('?'))).get('query')!;
  // deviations of few equal values are 0 or next to it
  if (/stddev|stdvar/.test(query) && Math.abs(Number(want) - Number(got)) <= 1e-6) return true;
  return INEXACT.test(query) && STEPPED.test(query);
}

function question(random: Random, expressions: Expressions): string {
  const query = expressions.vector(1 + Math.floor(random() * 3));
  // a second's half: no sample lies there
  const at = (part: number) => START_MS / 1000 + Math.floor(part * STEPS * STEP_MS * 1e-3) + 0.5;
  if (random() < 0.4) return `/api/v1/query?${new URLSearchParams({ query, time: String(at(random() * 1.1)) })}`;
  const start = at(random());
  const step = [1, 7, 15, 60, 300][Math.floor(random() * 5)]!;
  const end = start + step * Math.floor(random() * 40);
  const params = { query, start: String(start), end: String(end), step: String(step) };
  return `/api/v1/query_range?${new URLSearchParams(params)}`;
}

/** Gaps, series that begin late and end early, resets, stale markers. */
async function load(random: Random, urls: readonly string[]): Promise<void> {
  const series = METRICS.flatMap((metric) => {
    let labelSets: Record<string, string>[] = [{ __name__: metric.name }];
    for (const label of metric.labels) {
      labelSets = labelSets.flatMap((set) => metric.values.map((value) => ({ ...set, [label]: value })));
    }
    return labelSets.map((labels) => ({
      labels,
      metric,
      last: Math.floor(random() * 50),
      from: random() < 0.2 ? Math.floor(random() * STEPS) : 0,
      to: random() < 0.2 ? Math.floor(random() * STEPS) : STEPS,
      gapUntil: 0,
      jitter: Math.floor(random() * 10) * 1000,
    }));
  });
  for (let from = 0; from < STEPS; from += 10) {
    const batch = series.map((each) => {
      const samples: [number, number | undefined][] = [];
      for (let step = from; step < from + 10; step++) {
        const timeMs = START_MS + step * STEP_MS + each.jitter + PHASE_MS;
        each.last = each.metric.next(Number.isFinite(each.last) ? each.last : 1, random);
        if (step < each.from || step > each.to || step < each.gapUntil) continue;
        if (random() < 0.01) each.gapUntil = step + Math.floor(random() * 40);
        // the end of a series is marked, most times
        const stale = (step === each.to && random() < 0.7) || random() < 0.005;
        samples.push([timeMs, stale ? undefined : each.last]);
      }
      return { labels: each.labels, samples };
    });
    const body = writeBody(batch.filter(({ samples }) => samples.length > 0));
    for (const url of urls) {
      const { status, text } = await push(url, body);
      assert.ok(status < 300, `${url}: ${status} ${text}`);
    }
  }
}
