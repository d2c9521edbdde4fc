// Reading recent samples from a read quorum of three ingesters, beside reading them from one: all in one thread, CPU time.
// node bench/replicas.ts [--series 20000] [--samples 240] [--rounds 7]

import { Kernel } from '../src/chunk/kernel.ts';
import type { IngesterClient } from '../src/contract/ingester.ts';
import { HeldRange } from '../src/ingester/head/held-range.ts';
import { MemoryDisk } from '../src/ingester/log/test-disk.ts';
import { Replica } from '../src/ingester/replica.ts';
import { Shard } from '../src/ingester/shard/shard.ts';
import { ShardsClient } from '../src/ingester/shard/shard-client.ts';
import type { ShardRole } from '../src/ingester/shard/shard-messages.ts';
import { shardRole } from '../src/ingester/shard/shard-role.ts';
import { testFrames } from '../src/ingester/shard/test-frames.ts';
import { connectInThread } from '../src/kit/thread/channel.ts';
import { systemClock } from '../src/lib/clock.ts';
import { seededRandom } from '../src/lib/random.ts';
import { LabelMatcher } from '../src/model/matcher.ts';
import { HeadSource } from '../src/querier/head-source.ts';
import { ReplicatedIngesters } from '../src/querier/replicated-ingesters.ts';
import { TestRing } from '../src/querier/test-replicas.ts';
import { membersOf, ringOf } from '../src/ring/test-ring.ts';
import { SampleColumns } from '../src/storage/columns.ts';
import { unlimited } from '../src/storage/unlimited.ts';
import { benchOptions } from './options.ts';

const RATIO_MAX = 1.7;
const T = 1_700_000_000_000;
const WINDOW_MS = 7_200_000;
const STEP_MS = 30_000;
/** Series in one write. */
const BATCH = 1000;
const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 0, exemplarsMax: 0 };

const options = benchOptions({ series: '20000', samples: '240', rounds: '7' });
const [series, samples, rounds] = [Number(options.series), Number(options.samples), Number(options.rounds)];

function member() {
  const shard = new Shard({
    folder: 'shard',
    windowMs: WINDOW_MS,
    headBytesMax: 2e9,
    fsync: 'interval',
    fsyncIntervalMs: 3_600_000,
    keepFlushedMs: 900_000,
    disk: new MemoryDisk(),
    clock: systemClock,
    log: () => {},
    fatal: (error) => {
      throw error;
    },
  });
  const link = connectInThread<ShardRole>(shardRole(shard, systemClock));
  const client = new ShardsClient([{ channel: link.channel, held: HeldRange.everything() }]);
  return { shard, link, client };
}

/** @param late share of the series of which the second member lacks the last sample: its chunks are the beginning of the others' */
async function fill(members: readonly ReturnType<typeof member>[], late: number): Promise<void> {
  const random = seededRandom(1);
  for (let from = 0; from < series; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, series - from) }, (_, j) => {
      let value = Math.round(random() * 1e6);
      const labels = {
        __name__: 'node_cpu_seconds_total',
        cpu: String((from + j) % 16),
        instance: `host-${from + j}:9100`,
        job: 'node',
        mode: 'idle',
      };
      const points = Array.from({ length: samples }, (_, i) => {
        value += Math.round(random() * 100) / 10;
        return [T + i * STEP_MS, value] as const;
      });
      return { labels, samples: points };
    });
    const all = testFrames(batch);
    const lacking = batch.map((each) => (random() < late ? { ...each, samples: each.samples.slice(0, -1) } : each));
    const others = testFrames(lacking);
    for (const [m, { shard }] of members.entries()) await shard.push('t', m === 1 ? others : all, LIMITS);
  }
}

async function read(source: HeadSource): Promise<number> {
  const request = {
    matchers: [LabelMatcher.of('__name__', '=', 'node_cpu_seconds_total')],
    startMs: T,
    endMs: T + WINDOW_MS,
  };
  const found = await source.select('t', request, unlimited());
  const out = new SampleColumns();
  let count = 0;
  for (let i = 0; i < found.labels.length; i++) {
    found.read(i, out);
    count += out.count;
  }
  found.close();
  return count;
}

/** The least of several rounds, ms. */
async function cost(source: HeadSource): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < rounds; i++) {
    const before = process.cpuUsage();
    const count = await read(source);
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
    if (count !== series * samples) throw new Error(`${count} samples of ${series * samples}`);
  }
  return least;
}

let isMissed = false;
for (const late of [0, 0.1]) {
  const members = [member(), member(), member()];
  for (const { shard } of members) await shard.ready;
  await fill(members, late);
  const ring = new TestRing();
  const view = ring.set([ringOf(membersOf(3, 3), 16, 3)]);
  const ids = view.newest.members.map(({ id }) => id);
  const readers = new Map(ids.map((id, i) => [id, new Replica({ ring, shards: members[i]!.client })]));
  const replicated: IngesterClient = new ReplicatedIngesters({
    ring,
    member: (id) => readers.get(id),
    clock: systemClock,
  });
  const kernel = Kernel.create();
  const one = await cost(new HeadSource(members[0]!.client, kernel));
  const three = await cost(new HeadSource(replicated, kernel));
  const ratio = three / one;
  const what = late === 0 ? 'equal replicas' : `one that misses the last sample of ${100 * late} % of series`;
  console.log(
    `${what}: RF 1 ${one.toFixed(1)} ms, RF 3 ${three.toFixed(1)} ms, ${ratio.toFixed(2)} ×${late === 0 ? `, at most ${RATIO_MAX} ×` : ''}`,
  );
  if (late === 0 && ratio > RATIO_MAX) isMissed = true;
  for (const { link, shard } of members) {
    link.close();
    await shard.close({ checkpoint: false });
  }
}
if (isMissed) {
  console.error(`more than ${RATIO_MAX} ×`);
  process.exitCode = 1;
}
