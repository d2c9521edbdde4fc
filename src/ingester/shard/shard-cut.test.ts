import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../lib/manual-clock.ts';
import type { AppendFile } from '../log/disk.ts';
import { RUN_FILE } from '../log/run-file.ts';
import { MemoryDisk } from '../log/test-disk.ts';
import { Shard, type ShardOptions } from './shard.ts';
import { testFrames } from './test-frames.ts';

// A shard knows what it may have lost when its machine stopped.

const LIMITS = { seriesPerUserMax: 0, seriesPerMetricMax: 0, outOfOrderMs: 1e9, exemplarsMax: 0 };
const WINDOW_MS = 60_000;
const NOW_MS = 28_000_000 * WINDOW_MS;

/** A disk that forgets what was not synced. */
class CutDisk extends MemoryDisk {
  readonly #open = new Map<string, { file: AppendFile; synced: number }>();
  syncs = 0;

  override append(name: string): AppendFile {
    const file = super.append(name);
    // whoever opens it again has synced nothing of it
    const own = { file, synced: this.#open.get(name)?.synced ?? file.bytes };
    this.#open.set(name, own);
    const sync = async () => {
      this.syncs++;
      own.synced = file.bytes;
    };
    return {
      get bytes() {
        return file.bytes;
      },
      write: (part) => file.write(part),
      truncate: (bytes) => file.truncate(bytes),
      sync,
      close: () => file.close(),
    };
  }

  cut(): void {
    for (const { file, synced } of this.#open.values()) file.truncate(Math.min(synced, file.bytes));
    this.#open.clear();
  }
}

function open(disk: CutDisk, machineRun: string | undefined, more: Partial<ShardOptions> = {}): Shard {
  return new Shard({
    folder: 'shard',
    windowMs: WINDOW_MS,
    headBytesMax: 1e8,
    fsync: 'interval',
    fsyncIntervalMs: 3_600_000,
    keepFlushedMs: 900_000,
    machineRun,
    disk,
    clock: new ManualClock(NOW_MS),
    log: () => {},
    fatal: (error) => assert.fail(error),
    ...more,
  });
}

const push = (shard: Shard, timeMs: number, value = 1, name = 'm') =>
  shard.push('t', testFrames([{ labels: { __name__: name }, samples: [[timeMs, value]] }]), LIMITS);
const seriesOf = (shard: Shard) => shard.head.seriesCount;

test('after a cut the windows that were open may lack samples, and others do not, until the store has the rest', async () => {
  const disk = new CutDisk();
  const first = open(disk, 'one');
  await first.ready;
  await push(first, NOW_MS);
  await push(first, NOW_MS - 5 * WINDOW_MS);
  await first.seal(NOW_MS - 4 * WINDOW_MS);
  for (let i = 1; i < 20; i++) await push(first, NOW_MS + i, i);
  disk.cut();

  const second = open(disk, 'two');
  await second.ready;
  assert.equal(seriesOf(second), 1, 'what opened a window was synced before it was acknowledged');
  const [loss, ...others] = second.losses(0, 2 * NOW_MS);
  assert.deepEqual(
    [loss?.settled, others.map(({ settled }) => settled)],
    [false, [false]],
    'the seal was not synced either',
  );
  assert.match(
    loss!.text,
    /^the machine stopped before its last writes were on the disk: samples from .*Z to .*Z may be missing$/,
  );
  assert.equal(second.losses(NOW_MS, NOW_MS).length, 1);
  assert.equal(second.losses(NOW_MS + WINDOW_MS, 2 * NOW_MS).length, 0);
  assert.equal(second.losses(NOW_MS - 3 * WINDOW_MS, NOW_MS - 2 * WINDOW_MS).length, 0);

  const windows = await second.seal(Number.MAX_SAFE_INTEGER);
  for (const { sealLsn } of windows) await second.confirmFlushed(sealLsn);
  assert.deepEqual(
    second.losses(0, 2 * NOW_MS).map(({ settled }) => settled),
    [true, true],
  );
  // what came since is of another arena: it lacks nothing
  await push(second, NOW_MS + 100);
  assert.equal(second.losses(NOW_MS, NOW_MS)[0]?.settled, true);
  await second.close({ checkpoint: true });

  const third = open(disk, 'three');
  await third.ready;
  assert.equal(
    third.losses(0, 2 * NOW_MS).length,
    2,
    'known for good, each once; closed in order there is no further one',
  );
  await third.close({ checkpoint: false });
});

test('a process that ends loses nothing, nor does a shard that was closed; a shard that nobody told of runs knows nothing', async () => {
  for (const [before, after, isClosed, losses] of [
    ['one', 'one', false, 0],
    ['one', 'two', true, 0],
    ['one', 'two', false, 1],
    [undefined, undefined, false, 0],
  ] as const) {
    const disk = new CutDisk();
    const first = open(disk, before);
    await first.ready;
    await push(first, NOW_MS);
    if (isClosed) await first.close({ checkpoint: false });
    const second = open(disk, after);
    await second.ready;
    assert.equal(second.losses(0, 2 * NOW_MS).length, losses, String([before, after, isClosed]));
  }
});

test('a process syncs what one before it left, before anything rests on it', async () => {
  const disk = new CutDisk();
  const killed = open(disk, 'one');
  await killed.ready;
  await push(killed, NOW_MS);
  await push(killed, NOW_MS + 1, 2, 'unsynced');
  const next = open(disk, 'one');
  await next.ready;
  await push(next, NOW_MS + 2, 3, 'unsynced');
  await push(next, NOW_MS + WINDOW_MS);
  disk.cut();
  const last = open(disk, 'two');
  await last.ready;
  assert.equal(seriesOf(last), 2);
});

test('a shard that is closed while it replays ends that, and the next one has all of the log', async () => {
  const disk = new CutDisk();
  const first = open(disk, 'one');
  await first.ready;
  await push(first, NOW_MS);
  await first.close({ checkpoint: false });
  const closed = open(disk, 'one');
  await closed.close({ checkpoint: false });
  await assert.rejects(closed.ready, /shutting down/);
  assert.equal(closed.state, 'closed');
  const last = open(disk, 'one');
  await last.ready;
  assert.equal(seriesOf(last), 1);
});

test('only what opens a window is synced at once', async () => {
  const disk = new CutDisk();
  const shard = open(disk, 'one');
  await shard.ready;
  await push(shard, NOW_MS);
  const { syncs } = disk;
  for (let i = 1; i < 10; i++) await push(shard, NOW_MS + i);
  assert.equal(disk.syncs, syncs);
  await push(shard, NOW_MS + WINDOW_MS);
  assert.equal(disk.syncs, syncs + 1);
  // a window that was sealed and gets samples again is a new one
  await shard.seal(NOW_MS + WINDOW_MS);
  await push(shard, NOW_MS + 50);
  assert.equal(disk.syncs, syncs + 2);
});

test('a cut before the losses are written down is one still, and a damaged file counts as one', async () => {
  const disk = new CutDisk();
  const first = open(disk, 'one');
  await first.ready;
  await push(first, NOW_MS);
  disk.cut();
  open(disk, 'two'); // and is gone before it has replayed
  const third = open(disk, 'three');
  await third.ready;
  assert.equal(third.losses(NOW_MS, NOW_MS).length, 1);
  disk.writeWhole(`shard/${RUN_FILE}`, new TextEncoder().encode('{'));
  const fourth = open(disk, 'three');
  await fourth.ready;
  assert.ok(fourth.losses(NOW_MS, NOW_MS).length > 0);
});

test('a loss is told for as long as it was asked for, however often the shard starts, and longer where the store lacks the rest', async () => {
  const disk = new CutDisk();
  const clock = new ManualClock(NOW_MS);
  const walAgeMaxMs = 7 * 86_400_000;
  const first = open(disk, 'one', { clock });
  await first.ready;
  await push(first, NOW_MS);
  disk.cut();
  const second = open(disk, 'two', { clock, walAgeMaxMs });
  await second.ready;
  clock.setWall(NOW_MS + walAgeMaxMs / 2);
  assert.equal(second.losses(NOW_MS, NOW_MS).length, 1);
  await second.close({ checkpoint: true });
  const third = open(disk, 'two', { clock, walAgeMaxMs });
  await third.ready;
  clock.setWall(NOW_MS + walAgeMaxMs + 1);
  assert.equal(third.losses(NOW_MS, NOW_MS)[0]?.settled, false);
  for (const { sealLsn } of await third.seal(Number.MAX_SAFE_INTEGER)) await third.confirmFlushed(sealLsn);
  assert.equal(third.losses(NOW_MS, NOW_MS).length, 0);
  assert.equal(third.stats().walLosses, 0);
  await third.close({ checkpoint: false });
});

test('a window that is sealed before its first sample is acknowledged is synced all the same', async () => {
  const disk = new CutDisk();
  const first = open(disk, 'one');
  await first.ready;
  await push(first, NOW_MS);
  const pushed = push(first, NOW_MS - 5 * WINDOW_MS);
  await first.seal(Number.MAX_SAFE_INTEGER);
  await pushed;
  disk.cut();
  const second = open(disk, 'two');
  await second.ready;
  assert.equal(second.arenas().length, 2);
  await second.close({ checkpoint: false });
});

test('a record that rots may have held samples as old as any that came, of which nothing else is left', async () => {
  const disk = new CutDisk();
  const first = open(disk, 'one');
  await first.ready;
  await push(first, NOW_MS);
  assert.equal(reachOf(disk), 0);
  await push(first, NOW_MS - 50 * WINDOW_MS);
  assert.equal(reachOf(disk), 64 * WINDOW_MS, 'steps are coarse: the file is written a few times in all');
  await push(first, NOW_MS + 1);
  rot(disk, 2);

  const second = open(disk, 'one');
  await second.ready;
  assert.deepEqual(
    second.arenas().map(({ window }) => window),
    [NOW_MS / WINDOW_MS],
    'nothing says that there was another window',
  );
  const late = NOW_MS - 50 * WINDOW_MS;
  assert.deepEqual(
    second.losses(late, late).map(({ settled }) => settled),
    [false],
  );
  assert.equal(second.losses(0, NOW_MS - 65 * WINDOW_MS).length, 0);
  await second.close({ checkpoint: false });
});

test('an age that could not be written down is not taken, and is where each write is synced, too', async () => {
  const disk = new CutDisk();
  const first = open(disk, 'one', { fsync: 'always' });
  await first.ready;
  await push(first, NOW_MS);
  const late = NOW_MS - 50 * WINDOW_MS;
  const writeWhole = disk.writeWhole.bind(disk);
  disk.writeWhole = () => {
    throw new Error('no space left');
  };
  await assert.rejects(push(first, late), /no space left/);
  await assert.rejects(push(first, late), /no space left/);
  disk.writeWhole = writeWhole;
  await push(first, late);
  assert.ok(reachOf(disk) >= 50 * WINDOW_MS);
  await first.close({ checkpoint: false });
});

test('while a log is replayed the age of what comes is taken down, too', async () => {
  const disk = new CutDisk();
  const first = open(disk, 'one');
  await first.ready;
  await push(first, NOW_MS);
  const second = open(disk, 'one');
  const late = NOW_MS - 50 * WINDOW_MS;
  await Promise.all([push(second, late), second.ready]);
  assert.ok(reachOf(disk) >= 50 * WINDOW_MS);
});

test('a file of runs without ages says nothing of them: any sample may have been in what rots', async () => {
  const disk = new CutDisk();
  const first = open(disk, 'one');
  await first.ready;
  for (let i = 0; i < 3; i++) await push(first, NOW_MS + i);
  disk.writeWhole(`shard/${RUN_FILE}`, new TextEncoder().encode(JSON.stringify({ run: 'one', losses: [] })));
  rot(disk, 2);
  const second = open(disk, 'one');
  await second.ready;
  assert.equal(second.losses(0, 1).length, 1);
  await second.close({ checkpoint: false });
});

function readFile(disk: CutDisk, name: string): Buffer {
  const from = disk.open(name);
  const bytes = Buffer.alloc(from.bytes);
  from.read(bytes, 0);
  from.close();
  return bytes;
}

const reachOf = (disk: CutDisk): number => JSON.parse(readFile(disk, `shard/${RUN_FILE}`).toString()).reachMs;

/** Changes a byte of the payload of a record of the first segment. */
function rot(disk: CutDisk, record: number): void {
  const name = `shard/${disk.list('shard').find((each) => each.endsWith('.wal'))}`;
  const bytes = readFile(disk, name);
  let at = -1;
  for (let i = 0; i <= record; i++) at = bytes.indexOf('\x7fWAL', at + 1, 'latin1');
  bytes[at + 33]! ^= 0x55;
  disk.writeWhole(name, bytes);
}
