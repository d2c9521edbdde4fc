import { Labels } from '../src/model/labels.ts';
import { ServiceCatalog } from '../src/services/catalog.ts';
import { testRunner } from '../src/services/test-runner.ts';
import type { Queryable } from '../src/storage/queryable.ts';
import { median } from './median.ts';

/**
 * `npm run bench:services`: the list of 2,000 services of 50 series, renewed over an index in memory, and answered. The bound of a
 * second is on what a user waits for, which is the answer from memory; a renewal is work of each minute, in the query's thread.
 */
const SERVICES = 2000;
const T = 1_767_231_000_000;
const ROUNDS = 5;

interface One {
  readonly labels: Labels;
  readonly perSecond: number;
}

const byName = new Map<string, One[]>();
let count = 0;
const add = (record: Record<string, string>, perSecond = 1) => {
  const name = record.__name__!;
  if (!byName.has(name)) byName.set(name, []);
  byName.get(name)!.push({ labels: Labels.of(record), perSecond });
  count++;
};
for (let i = 0; i < SERVICES; i++) {
  const own = { job: `svc${i}`, instance: `10.0.${i >> 8}.${i & 255}:80`, namespace: `ns${i % 40}` };
  add({ __name__: 'up', ...own });
  for (const handler of ['/a', '/b', '/c']) {
    for (const code of ['200', '404', '500']) add({ __name__: 'http_requests_total', ...own, handler, code });
    for (const le of ['0.01', '0.05', '0.1', '0.5', '1', '5', '+Inf']) {
      add({ __name__: 'http_request_duration_seconds_bucket', ...own, handler, le });
    }
    for (const suffix of ['sum', 'count'])
      add({ __name__: `http_request_duration_seconds_${suffix}`, ...own, handler });
  }
  for (const name of [
    'process_open_fds',
    'process_max_fds',
    'process_start_time_seconds',
    'go_goroutines',
    'go_threads',
  ]) {
    add({ __name__: name, ...own });
  }
  add({ __name__: `cart_build_info`, ...own, version: '1' });
  for (let j = 0; j < 7; j++) add({ __name__: `own_${j}_total`, ...own });
}
for (const list of byName.values()) list.sort((a, b) => Labels.compare(a.labels, b.labels));

const queryable: Queryable = {
  async select({ matchers, startMs, endMs }) {
    const names = [...byName.keys()].filter((name) =>
      matchers.every((matcher) => matcher.name !== '__name__' || matcher.matches(name)),
    );
    const others = matchers.filter(({ name }) => name !== '__name__');
    const found = names
      .flatMap((name) => byName.get(name)!)
      .filter(({ labels }) => others.every((matcher) => matcher.matches(labels.get(matcher.name))));
    if (names.length > 1) found.sort((a, b) => Labels.compare(a.labels, b.labels));
    return {
      series: found.map(({ labels }) => labels),
      warnings: [],
      read(index, out) {
        out.clear();
        const { perSecond } = found[index]!;
        for (let timeMs = Math.ceil(startMs / 30_000) * 30_000; timeMs <= endMs; timeMs += 30_000) {
          out.pushFloat(timeMs, ((timeMs - T) / 1000 + 86_400) * perSecond);
        }
      },
      close() {},
    };
  },
  labelNames: async () => ({ values: [], warnings: [] }),
  labelValues: async () => ({ values: [], warnings: [] }),
};

const catalog = new ServiceCatalog({ tenant: 't', runner: testRunner(queryable) });
const signal = new AbortController().signal;
const cpuMs = (from?: NodeJS.CpuUsage) => {
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1000;
};
const renewals: number[] = [];
const answers: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  let from = process.cpuUsage();
  await catalog.renew(T + round * 60_000, signal);
  renewals.push(cpuMs(from));
  from = process.cpuUsage();
  const text = JSON.stringify(catalog.list());
  answers.push(cpuMs(from));
  if (catalog.list().length !== SERVICES || text.length === 0) throw new Error('bug: services are missing');
}
console.log(`${SERVICES} services, ${count} series, medians of ${ROUNDS}, CPU time`);
console.log(
  `renewed in ${median(renewals).toFixed(0)} ms (the first ${renewals[0]!.toFixed(0)} ms), listed in ${median(answers).toFixed(1)} ms`,
);
process.exitCode = median(renewals) + median(answers) < 1000 ? 0 : 1;
