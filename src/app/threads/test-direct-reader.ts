import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { ChunkDecoder } from '../../chunk/head-chunk.ts';
import { HeadSeriesDecoder } from '../../chunk/head-series.ts';
import { Kernel } from '../../chunk/kernel.ts';
import type { HeadMatcher } from '../../contract/ingester.ts';
import { HeldRange } from '../../ingester/head/held-range.ts';
import { DirectReads } from '../../ingester/shard/direct-reads.ts';
import { ShardsClient } from '../../ingester/shard/shard-client.ts';
import type { ShardCalls, ShardRole } from '../../ingester/shard/shard-messages.ts';
import { Channel } from '../../kit/thread/channel.ts';
import { Link } from '../../kit/thread/link.ts';
import { systemClock } from '../../lib/clock.ts';
import { seededRandom } from '../../lib/random.ts';
import { nextTurn } from '../../lib/turn.ts';
import { decodeLabels } from '../../model/canonical.ts';
import { SampleColumns } from '../../storage/columns.ts';
import { SliceView } from '../../wire/slices.ts';
import type { ShardConnection } from './shard-connection.ts';

// A reader of direct-reads.test.ts, in a thread of its own: it reads what is being written, and says what is wrong with it.

export interface DirectReaderData {
  readonly connection: ShardConnection;
  /** Steps that are acknowledged · 1 while the shard may have a part of one. */
  readonly progress: SharedArrayBuffer;
  readonly startMs: number;
  /** For the times that it asks for. */
  readonly seed: number;
}

export type ToReader = { readonly connection: ShardConnection } | 'stop';

export interface ReaderReport {
  readonly reads: number;
  readonly samples: number;
  /** Selects that the shard was asked for. */
  readonly asked: number;
  readonly failed: number;
  readonly wrong: readonly string[];
}

export const STEP_MS = 5000;
export const SERIES = 60;
/** Steps that no window has gone of. */
export const STEPS_HELD = 100;
export const READ_TENANTS = ['one', 'other'];

/** A sample says whose it is. */
export function sampleValue(tenant: string, metric: string, i: number, timeMs: number): number {
  return ((timeMs % 1_000_003) * (i + 1 + 1000 * tenant.length) * metric.length) / 7;
}

if (!isMainThread && workerData?.progress !== undefined) void run(workerData as DirectReaderData);

async function run({ connection, progress, startMs, seed }: DirectReaderData): Promise<void> {
  const acknowledged = new Int32Array(progress);
  const random = seededRandom(seed);
  const held = new HeldRange(connection.held);
  const link = new Link(new Channel<ShardRole>(connection.port));
  const direct = new DirectReads(held);
  let asked = 0;
  const counting = {
    call(...call: Parameters<ShardCalls['call']>) {
      if (call[0] === 'select') asked++;
      return link.call(...call);
    },
  } as ShardCalls;
  const client = new ShardsClient([{ channel: counting, held, direct }]);
  await direct.connect(link);
  let isStopped = false;
  parentPort!.on('message', (message: ToReader) => {
    if (message === 'stop') {
      isStopped = true;
      return;
    }
    link.replace(new Channel<ShardRole>(message.connection.port as MessagePort), new Error('it was started again'));
    direct.connect(link).catch(() => {});
  });
  const kernel = Kernel.create();
  const whole = new HeadSeriesDecoder(kernel);
  const chunks = new ChunkDecoder(kernel);
  const columns = new SampleColumns();
  const wrong: string[] = [];
  let reads = 0;
  let failed = 0;
  let samples = 0;
  const { signal } = new AbortController();

  const check = async (tenant: string, metric: string, count: number, matchers: readonly HeadMatcher[]) => {
    const say = (text: string) => {
      if (wrong.length < 10) wrong.push(`${tenant} ${JSON.stringify(matchers)}: ${text}`);
    };
    const isSettled = Atomics.load(acknowledged, 1) === 0;
    const life = held.life;
    const step = Atomics.load(acknowledged, 0);
    const first = Math.max(0, step - Math.floor(random() * STEPS_HELD));
    const fromMs = startMs + first * STEP_MS;
    const request = { tenant, matchers, startMs: fromMs, endMs: 1e15, labelsOnly: false, packed: true };
    let slices: Awaited<ReturnType<ShardsClient['selectWhole']>>;
    try {
      slices = await client.selectWhole(request, signal);
    } catch {
      // it is away, or reads its log
      failed++;
      await systemClock.sleep(20);
      return;
    }
    reads++;
    const seen = new Set<string>();
    const lasts = new Set<number>();
    for (const { bytes, giveBack } of slices ?? []) {
      for (const series = new SliceView(bytes); series.next(); ) {
        const labels = decodeLabels(bytes, series.labelsFrom, series.labelsTo);
        const of = labels.get('i') ?? '';
        seen.add(of);
        if (labels.metricName !== metric || labels.get('kind') !== 'fix') say(`${labels} does not match`);
        if (!whole.read(bytes, series.chunksFrom, series.chunksTo, fromMs, 1e15, columns))
          chunks.read(series.chunks, fromMs, 1e15, columns);
        samples += columns.count;
        let expectedMs = fromMs;
        for (let k = 0; k < columns.count; k++) {
          const timeMs = columns.times[k]!;
          if (columns.values[k] !== sampleValue(tenant, metric, Number(of), timeMs))
            say(`${labels} has ${columns.values[k]} at ${timeMs}`);
          // what came late lies between
          if ((timeMs - startMs) % STEP_MS !== 0) continue;
          if (timeMs !== expectedMs) say(`${labels} has ${timeMs} where ${expectedMs} is next`);
          expectedMs = timeMs + STEP_MS;
        }
        const lastMs = expectedMs - STEP_MS;
        if (lastMs < startMs + step * STEP_MS) say(`${labels} ends with ${lastMs}, ${step} steps are acknowledged`);
        lasts.add(lastMs);
      }
      giveBack?.();
    }
    if (step > 0 && seen.size !== count) say(`${seen.size} of ${count} series, step ${step}`);
    // a write is there with all of its series, or not at all
    const wasWhole = isSettled && Atomics.load(acknowledged, 1) === 0 && held.life === life;
    if (wasWhole && lasts.size > 1) say(`series end at ${[...lasts]}`);
  };

  while (!isStopped) {
    for (let k = 0; k < 20; k++) {
      const tenant = READ_TENANTS[k % 2]!;
      const metric = k % 3 === 0 ? 'late' : 'm';
      const name: HeadMatcher = { name: '__name__', op: '=', value: metric };
      const fix: HeadMatcher = { name: 'kind', op: '=', value: 'fix' };
      if (k % 5 === 0) await check(tenant, metric, SERIES, [name, fix]);
      else if (k % 5 === 1) await check(tenant, metric, 1, [name, fix, { name: 'i', op: '=', value: '5' }]);
      else await check(tenant, metric, 10, [name, fix, { name: 'i', op: '=~', value: '3[0-9]' }]);
    }
    await nextTurn();
  }
  parentPort!.postMessage({ reads, samples, asked, failed, wrong } satisfies ReaderReport);
}
