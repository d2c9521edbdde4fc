// The effect of one query that runs into its memory budget on everybody else: ingestion at half of what the machine takes, short
// queries, the process' memory.
//   npm run bench:isolation -- [--set 12x1440] [--seconds 20] [--budget 1GiB] [--flags "-a=b …"]
// Small: --set 2x240 --seconds 5 --budget 64MiB. First without, then with that query asked again and again.
import { setTimeout as sleep } from 'node:timers/promises';
import { Pallium } from '../test/harness/pallium.ts';
import { rssBytes } from '../test/harness/process-cost.ts';
import { benchOptions } from './options.ts';
import { replay, workloadSet } from './sets.ts';

const options = benchOptions({ set: '12x1440', seconds: '20', budget: '1GiB', flags: '' });
const set = await workloadSet(options.set);
const end = set.endMs / 1000;
await using server = await Pallium.start({
  flags: [
    `-querier.max-query-memory-bytes=${options.budget}`,
    // the budget of memory is to be the one that ends it
    '-querier.max-samples=1000000000',
    // the set is of a day long past: both phases do the same work
    '-ingester.flush-delay=10000h',
    ...options.flags.split(' ').filter((flag) => flag !== ''),
  ],
});
const pushUrl = `${server.url}/api/v1/push`;
const { samplesPerS: fullRate } = await replay(set, pushUrl);
const api = server.api();

const copy = (name: string) => `label_replace({__name__=~".+"}, "copy", "${name}", "", "")`;
/** Passes what is estimated beforehand: how large its answer gets shows only as it runs. */
const GREEDY = new URLSearchParams({
  query: `${copy('a')} or ${copy('b')}`,
  start: String(end - 6 * 3600),
  end: String(end),
  step: '2',
});
const SHORT = 'sum by (mode) (rate(node_cpu_seconds_total{instance="10.0.3.17:9100"}[5m]))';

interface Phase {
  readonly samplesPerS: number;
  readonly p50: number;
  readonly p99: number;
  readonly queries: number;
  readonly rssGrownMb: number;
  readonly greedy: Record<string, number>;
}

async function phase(greedy: boolean): Promise<Phase> {
  const until = performance.now() + Number(options.seconds) * 1000;
  const rssBefore = rssBytes(server.pid);
  let rssMax = rssBefore;
  const latencies: number[] = [];
  const outcomes: Record<string, number> = {};
  const going = () => performance.now() < until;
  // to a tenant of its own, the same from the start in each phase
  const write = () =>
    replay(set, pushUrl, {
      tenant: `load-${greedy}`,
      rate: fullRate / 2,
      seconds: Number(options.seconds),
    });
  const watch = async () => {
    for (; going(); await sleep(20)) rssMax = Math.max(rssMax, rssBytes(server.pid));
  };
  const ask = async () => {
    while (going()) {
      const at = performance.now();
      await api.instant(SHORT, end);
      latencies.push(performance.now() - at);
      await sleep(20);
    }
  };
  const eat = async () => {
    while (greedy && going()) {
      const { status, text } = await api.ask(`/api/v1/query_range?${GREEDY}`);
      const outcome = status === 200 ? '200' : `${status} ${(JSON.parse(text) as { error: string }).error}`;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  };
  const [{ samplesPerS }] = await Promise.all([write(), watch(), ask(), eat()]);
  latencies.sort((a, b) => a - b);
  return {
    samplesPerS,
    p50: Number(latencies[latencies.length >> 1]!.toFixed(1)),
    p99: Number(latencies[Math.floor(latencies.length * 0.99)]!.toFixed(1)),
    queries: latencies.length,
    rssGrownMb: Math.round((rssMax - rssBefore) / 1e6),
    greedy: outcomes,
  };
}

const idle = await phase(false);
const eaten = await phase(true);
const columns = ({ greedy, ...numbers }: Phase) => numbers;
console.table({ alone: columns(idle), 'beside the greedy query': columns(eaten) });
console.log('the greedy query was answered', eaten.greedy);
