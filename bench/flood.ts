// A flood of one process at the peer listener of an ingester, beside senders that write at their rate: what these get of it. Counted are
// writes that were taken of those that were due, in rounds without and with the flood in turn, and CPU of the ingester; the clock only
// says when a write is due.
//   node bench/flood.ts [--rounds 3] [--seconds 10] [--rate 40] [--series 500] [--lanes 64] [--kib 64]
// Three ingesters and a distributor over DynamoDB Local. Bar: 90 % of the writes that are taken without it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { RpcClient } from '../src/kit/rpc/client.ts';
import { systemClock } from '../src/lib/clock.ts';
import { seededRandom } from '../src/lib/random.ts';
import { RemoteMember, SentFrames } from '../src/peer/remote-member.ts';
import { Cluster, ONE_THREAD } from '../test/harness/cluster.ts';
import { WRITE_HEADERS, writeBody } from '../test/harness/remote-write.ts';
import { startService } from '../test/harness/services.ts';
import { keyedFrames } from './keyed-frames.ts';
import { benchOptions } from './options.ts';

const BAR = 0.9;
const WRITE_MS_MAX = 5_000;

/** The process that floods: as many pushes as the listener takes, of series that nobody knows, so that each is worked at. */
async function flood(address: string, lanes: number, kib: number): Promise<void> {
  const client = new RpcClient({
    address,
    self: { name: 'flood', cluster: {} },
    security: () => ({}),
    clock: systemClock,
  });
  const member = new RemoteMember(client, new SentFrames());
  const nothing = { number: 0, hash: '', floor: 0, confirmed: 0, documents: [] };
  const { number, hash } = await member.meet(nothing);
  const frames = strangers(Math.floor((kib * 1024) / 56));
  const counts = { taken: 0, refused: 0, bytes: 0 };
  let isOn = false;
  process.on('message', (word) => {
    isOn = word === 'on';
    process.send!(counts);
  });
  const limits = { seriesPerUserMax: 1, seriesPerMetricMax: 1, outOfOrderMs: 0, exemplarsMax: 0 };
  const lane = async () => {
    for (;;) {
      if (!isOn) await sleep(20);
      else {
        await member.push({ tenant: 'flood', frames, limits, version: { number, hash }, writing: number }).then(
          () => counts.taken++,
          async () => {
            counts.refused++;
            await sleep(1);
          },
        );
        counts.bytes += frames.length;
      }
    }
  };
  process.send!('ready');
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** Frames of known series, by keys that are none. */
function strangers(count: number): Uint8Array {
  return keyedFrames(seededRandom(1), count, Date.now(), (i) => i);
}

interface Round {
  readonly due: number;
  readonly taken: number;
  readonly cpuMs: number;
}

async function main(): Promise<void> {
  const options = benchOptions({ rounds: '3', seconds: '10', rate: '40', series: '500', lanes: '64', kib: '64' });
  const [rounds, seconds, rate, series] = [options.rounds, options.seconds, options.rate, options.series].map(
    Number,
  ) as [number, number, number, number];
  await using resources = new AsyncDisposableStack();
  const { port } = resources.use(await startService('dynamodb'));
  const cluster = resources.use(
    new Cluster([
      '-schema.store=dynamodb',
      `-dynamodb.endpoint=http://127.0.0.1:${port}`,
      '-dynamodb.access-key-id=test',
      '-dynamodb.secret-access-key=test',
      `-schema.prefix=f${Date.now().toString(36)}_`,
      '-schema.object-store=none',
      ...ONE_THREAD,
    ]),
  );
  const names = ['i1', 'i2', 'i3'];
  for (const name of names) await cluster.start(name, ['-target=ingester']);
  await cluster.ready();
  const distributor = await cluster.start('distributor', ['-target=distributor']);
  await cluster.ready();
  const ring = JSON.parse((await cluster.of('i1').api().ask('/ring?format=json')).text) as {
    members: { id: string; address: string }[];
  };
  const victims = ring.members.map(({ address }) => address);
  const children = await Promise.all(
    victims.map(async (address) => {
      const child = fork(process.argv[1]!, ['flood', address, options.lanes, options.kib], { stdio: 'inherit' });
      resources.defer(() => void child.kill());
      await once(child, 'message');
      return child;
    }),
  );
  const tell = (word: string) =>
    Promise.all(
      children.map(async (child) => {
        child.send(word);
        const [counts] = (await once(child, 'message')) as [{ taken: number; refused: number; bytes: number }];
        return counts;
      }),
    );
  let step = 0;
  const write = async () => {
    const timeMs = Date.now();
    const value = ++step;
    const body = writeBody(
      Array.from({ length: series }, (_, i) => ({
        labels: { __name__: 'victim', series: `${i}`, lane: `${value % 64}` },
        samples: [[timeMs, value] as const],
      })),
    ) as Uint8Array<ArrayBuffer>;
    const signal = AbortSignal.timeout(WRITE_MS_MAX);
    const answer = await fetch(`${distributor.url}/api/v1/push`, {
      method: 'POST',
      headers: WRITE_HEADERS,
      body,
      signal,
    });
    await answer.text();
    return answer.ok;
  };
  const round = async (): Promise<Round> => {
    const cpu = cluster.cpuMs(...names);
    let taken = 0;
    const writes: Promise<void>[] = [];
    const due = rate * seconds;
    const startMs = performance.now();
    for (let i = 0; i < due; i++) {
      await sleep(Math.max(0, startMs + (i * 1000) / rate - performance.now()));
      writes.push(
        write().then(
          (isTaken) => {
            if (isTaken) taken++;
          },
          () => {},
        ),
      );
    }
    await Promise.all(writes);
    return { due, taken, cpuMs: cluster.cpuMs(...names) - cpu };
  };
  await round();
  const rows: object[] = [];
  const sums = { quiet: 0, flooded: 0 };
  for (let i = 0; i < rounds; i++) {
    const quiet = await round();
    const before = await tell('on');
    const flooded = await round();
    const after = await tell('off');
    const calls = after.reduce(
      (sum, { taken, refused }, at) => sum + taken + refused - before[at]!.taken - before[at]!.refused,
      0,
    );
    const bytes = after.reduce((sum, each, at) => sum + each.bytes - before[at]!.bytes, 0);
    sums.quiet += quiet.taken;
    sums.flooded += flooded.taken;
    rows.push({
      'writes due': quiet.due,
      'taken, quiet': quiet.taken,
      'taken, flooded': flooded.taken,
      'CPU of ingesters, quiet, ms': Math.round(quiet.cpuMs),
      'flooded, ms': Math.round(flooded.cpuMs),
      'calls of the flood': calls,
      'MB of the flood': Math.round(bytes / 1e6),
    });
  }
  console.table(rows);
  const share = sums.flooded / Math.max(1, sums.quiet);
  console.log(
    `writes of others beside the flood: ${(100 * share).toFixed(1)} % of those without it (at least ${100 * BAR} %)`,
  );
  process.exitCode = share >= BAR ? 0 : 1;
}

if (process.argv[2] === 'flood') await flood(process.argv[3]!, Number(process.argv[4]), Number(process.argv[5]));
else {
  await main();
  process.exit();
}
