// Cost of a ring in the index store: many processes, heartbeats and looks at each other, no samples.
//   npm run bench:members -- [--store cassandra|dynamodb|memory] [--ingesters 100] [--others 100] [--seconds 60]
// Three ingesters make the ring, the others show that they live as those do that were taken out: that costs the store the same, and
// saves the minutes in which each joins by itself. All share this process, whose CPU is that of all of them.
// Bar: every heartbeat (one each 5 s) is seen by all within half of the minute after which an ingester counts as unhealthy.
import { defaultsOf } from '../src/kit/config/section.ts';
import { TableKv } from '../src/kv/table.ts';
import { systemClock } from '../src/lib/clock.ts';
import { systemBytes } from '../src/lib/random.ts';
import { RingFollower } from '../src/ring/follower.ts';
import { RingMember } from '../src/ring/member.ts';
import type { MemberRow } from '../src/ring/row.ts';
import { TestDisk } from '../src/ring/test-world.ts';
import { openCassandra } from '../src/table/cassandra/store.ts';
import type { TableStore } from '../src/table/client.ts';
import { CountingTableClient } from '../src/table/counting.ts';
import { dynamodbConfig } from '../src/table/dynamodb/config.ts';
import { openDynamodb } from '../src/table/dynamodb/store.ts';
import { MemoryTableStore } from '../src/table/memory.ts';
import { singleNode } from '../test/backends/cassandra.ts';
import { startService } from '../test/harness/services.ts';
import { benchOptions } from './options.ts';

const options = benchOptions({ store: 'cassandra', ingesters: '100', others: '100', seconds: '60' });
const ingesters = Number(options.ingesters);
const others = Number(options.others);
const seconds = Number(options.seconds);
const SEEN_MS_MAX = 30_000;
/** Those that make the ring. */
const FIRST = 3;
/** Time in which all register, and see each other. */
const BEGIN_MS = 15_000;

await using resources = new AsyncDisposableStack();
const store = await openTables(options.store);
let swaps = 0;

/** Calls of all processes, as they come to the store. */
class Calls extends CountingTableClient {
  override async compareAndSet(...call: Parameters<CountingTableClient['compareAndSet']>): Promise<boolean> {
    swaps++;
    return super.compareAndSet(...call);
  }
}

const client = new Calls(store.client);
const counted: TableStore = { client, admin: store.admin, limits: store.limits };
const kvOf = () => new TableKv({ store: counted, table: 'members_ring', clock: systemClock, randomBytes: systemBytes });

/** Sight of the others from one process: when each one's row came last, and the longest time between two. */
class Observer {
  readonly #seenMs = new Map<string, number>();
  longestMs = 0;
  beats = 0;

  see(row: MemberRow): void {
    const nowMs = performance.now();
    const before = this.#seenMs.get(row.id);
    this.#seenMs.set(row.id, nowMs);
    this.beats++;
    if (before !== undefined) this.longestMs = Math.max(this.longestMs, nowMs - before);
  }

  begin(): void {
    const nowMs = performance.now();
    for (const id of this.#seenMs.keys()) this.#seenMs.set(id, nowMs);
    this.longestMs = 0;
    this.beats = 0;
  }

  /** Those that were not seen for longest count, too. */
  end(): void {
    for (const atMs of this.#seenMs.values()) this.longestMs = Math.max(this.longestMs, performance.now() - atMs);
  }

  get known(): number {
    return this.#seenMs.size;
  }
}

const observers: Observer[] = [];
const rings: { start(): void; stop(): Promise<void> }[] = [];
for (let i = 0; i < ingesters; i++) {
  const observer = new Observer();
  observers.push(observer);
  rings.push(
    new RingMember({
      kv: kvOf(),
      clock: systemClock,
      randomBytes: systemBytes,
      disk: new TestDisk(),
      folder: '/log',
      name: `ingester-${i}`,
      zone: `zone-${i % 3}`,
      address: `10.0.${i >> 8}.${i & 255}:9095`,
      replicas: 3,
      arcs: 4096,
      zonesMin: 0,
      hasLog: i >= FIRST,
      walAgeMaxMs: 7 * 86_400_000,
      onRow: (row) => observer.see(row),
    }),
  );
}
for (let i = 0; i < others; i++) {
  const observer = new Observer();
  observers.push(observer);
  rings.push(new RingFollower({ kv: kvOf(), clock: systemClock, onRow: (row) => observer.see(row) }));
}

for (const ring of rings) ring.start();
resources.defer(async () => {
  await Promise.all(rings.map((ring) => ring.stop()));
});
await systemClock.sleep(BEGIN_MS);
for (const observer of observers) observer.begin();
const before = { ...client.counts, swaps };
const cpu = process.cpuUsage();
await systemClock.sleep(seconds * 1000);
const { user, system } = process.cpuUsage(cpu);
const { counts } = client;
for (const observer of observers) observer.end();

const perS = (count: number) => Math.round(count / seconds);
console.table([
  {
    store: options.store,
    ingesters,
    others,
    'queries a second': perS(counts.queries - before.queries),
    'rows a second': perS(counts.rowsRead - before.rowsRead),
    'KB a second': perS((counts.bytesRead - before.bytesRead) / 1000),
    'swaps a second': perS(swaps - before.swaps),
    'CPU of all': Number(((user + system) / 1e6 / seconds).toFixed(2)),
  },
]);
const least = Math.min(...observers.map(({ known }) => known));
const longestMs = Math.max(...observers.map((observer) => observer.longestMs));
const beats = Math.min(...observers.map((observer) => observer.beats / (ingesters * seconds)));
console.log(
  `each process saw at least ${least} of ${ingesters} ingesters, ${beats.toFixed(2)} heartbeats of each a second, none for at most ${(longestMs / 1000).toFixed(1)} s`,
);
// a member does not see itself
if (least < ingesters - 1 || longestMs > SEEN_MS_MAX) {
  console.log(`missed: all are to be seen within ${SEEN_MS_MAX / 1000} s`);
  process.exitCode = 1;
}

async function openTables(name: string): Promise<TableStore> {
  switch (name) {
    case 'memory':
      return new MemoryTableStore();
    case 'cassandra': {
      const { port } = resources.use(await startService('cassandra'));
      const opened = await openCassandra(singleNode(`${port}`, 'members'), { clock: systemClock });
      resources.defer(() => opened.client.close());
      return opened;
    }
    case 'dynamodb': {
      const { port } = resources.use(await startService('dynamodb'));
      const config = {
        ...defaultsOf(dynamodbConfig),
        endpoint: `http://127.0.0.1:${port}`,
        region: 'local',
        accessKeyId: 'test',
        secretAccessKey: 'testsecret',
      };
      const opened = await openDynamodb(config, { clock: systemClock });
      resources.defer(() => opened.client.close());
      return opened;
    }
    default:
      throw new Error(`${name} is none of cassandra, dynamodb, memory`);
  }
}
