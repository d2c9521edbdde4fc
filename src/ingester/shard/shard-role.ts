import { Region } from '../../chunk/region.ts';
import type { FrameAnswer, FramePush } from '../../contract/ingest.ts';
import type { HeadLabels } from '../../contract/ingester.ts';
import { Transferred } from '../../kit/thread/channel.ts';
import { LentMemory } from '../../kit/thread/lent-memory.ts';
import { BytesError } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import { getOrMake } from '../../lib/map.ts';
import { Pacer } from '../../lib/pacer.ts';
import { type RandomBytes, systemBytes } from '../../lib/random.ts';
import { peerErrors } from '../../model/errors-peer.ts';
import { processErrors } from '../../model/errors-process.ts';
import { queryErrors } from '../../model/errors-query.ts';
import type { MatchTurn } from '../../model/match-turn.ts';
import { isSeriesShard } from '../../model/series-shard.ts';
import { FrameDecoder } from '../../wire/frame-columns.ts';
import { ExportOrder } from '../head/export-order.ts';
import { exportSeries } from '../head/export-series.ts';
import type { Head } from '../head/head.ts';
import { HeadMatching, joinedRefs } from '../head/head-matching.ts';
import type { KeptSelect } from '../head/head-reader.ts';
import { HeadSizes } from '../head/head-size.ts';
import { HeadStatistics } from '../head/head-stats.ts';
import { HeldDigests } from '../head/held-digests.ts';
import type { HeadIngestResult } from '../head/intake.ts';
import { KeptSelects } from '../head/kept-select.ts';
import { MatchTurns } from '../head/match-turns.ts';
import { NewestTally } from '../head/newest-tally.ts';
import { findExemplars } from '../head/select-exemplars.ts';
import type { HeadTenant } from '../head/tenant-index.ts';
import type { SavedArena } from '../log/checkpoint.ts';
import type { Shard } from './shard.ts';
import {
  type ArenaTenant,
  SELECTS_AT_ONCE_MAX,
  type ShardRole,
  type ShardSlice,
  TENANTS_AT_ONCE_MAX,
  type TenantStats,
  type UnflushedWindow,
} from './shard-messages.ts';

const SLICE_BYTES = 1024 * 1024;
/** For how long at a time a search through all series may hold up the shard's thread. */
const SLICE_MS = 8;
const CURSORS_MAX = 256;
/** Reads of one tenant that look for their series at the same time. */
const TENANT_READS_MAX = 128;
const CURSOR_IDLE_MS = 60_000;
/** More than one series can take: labels, and a chunk of 8 KiB for each open window and generation. */
const SERIES_BYTES_MAX = 64 * 1024 * 1024;

interface Cursor {
  readonly startMs: number;
  readonly endMs: number;
  /** 0: all. */
  readonly arena: number;
  /** Whether who asks reads packed chunks. */
  readonly packed: boolean;
  readonly refs: Uint32Array;
  readonly mayLend: boolean;
  at: number;
  usedMs: number;
}

/** Frames that stay with whoever asks, who changes nothing until the answer has come. */
type ReadFrames = Omit<FramePush, 'frames' | 'bytes'> & { readonly frames: Uint8Array };

/** The role of a shard for those in its own thread, too. */
export type OwnShardRole = ShardRole & {
  /** As `push`. */
  take(request: ReadFrames): Promise<Omit<FrameAnswer, 'frames'>>;
};

/** The answer to no frames. */
const NOTHING: HeadIngestResult = {
  counts: [0, 0, 0, 0, 0, 0],
  histogramsLost: 0,
  exemplarsLost: 0,
  refused: 0,
  first: undefined,
  unknown: [],
};

/** A shard as a set of messages. */
export function shardRole(shard: Shard, clock: Clock, randomBytes: RandomBytes = systemBytes): OwnShardRole {
  const { head } = shard;
  const { exports } = head.kernel;
  const matching = new HeadMatching(head);
  const turns = new MatchTurns(clock);
  const statistics = new HeadStatistics(head, clock);
  const newest = new NewestTally(head);
  const sizes = new HeadSizes(head);
  const keptSelects = new KeptSelects(head);
  const out = new Region(head.kernel, SLICE_BYTES);
  const refsScratch = new Region(head.kernel);
  const lent = new LentMemory(clock);
  const cursors = new Map<number, Cursor>();
  const exportOrder = new ExportOrder(head, clock);
  const heldDigests = new HeldDigests(head, exportOrder, clock);
  const decoder = new FrameDecoder();
  // a shard that was started again must not take a cursor of the one before for one of its own, which is of another tenant
  let lastCursor = Number(new DataView(randomBytes(8).buffer).getBigUint64(0) >> 17n);
  let exporting = 0;

  /** Refs that someone still walks over are not used again. */
  const hold = () => {
    head.holdRefs = cursors.size > 0 || exporting > 0 || reading.size > 0;
  };

  /** Does what pauses while it walks over refs. */
  const holding = async <T>(walk: () => Promise<T>): Promise<T> => {
    exporting++;
    hold();
    try {
      return await walk();
    } finally {
      exporting--;
      hold();
    }
  };

  /** Frames that another process sent, looked at; only until the next. @throws peerMessageInvalid */
  const framesOf = (blocks: Uint8Array): Uint8Array => {
    try {
      return decoder.decode(blocks);
    } catch (error) {
      if (error instanceof BytesError) throw peerErrors.peerMessageInvalid({ reason: error.message });
      throw error;
    }
  };

  const mustBeReady = () => {
    if (shard.state === 'replaying') throw queryErrors.replaying({});
    if (shard.state === 'closed') throw processErrors.shuttingDown({});
  };

  const expire = () => {
    for (const [id, { usedMs }] of cursors) if (clock.monotonicMs() - usedMs > CURSOR_IDLE_MS) cursors.delete(id);
    hold();
  };

  /** Copies series into `out` until it is full; one that alone is larger makes it larger. */
  const fill = ({ refs, at: from, startMs, endMs, arena, packed, mayLend }: Cursor) => {
    let at = 0;
    let i = from;
    while (i < refs.length) {
      const wrote = exports.seriesIsLive(refs[i]!)
        ? exportSeries(head, refs[i]!, startMs, endMs, arena, packed, out.at + at, out.bytes - at)
        : 0;
      if (wrote < 0) {
        if (at > 0) break;
        if (out.bytes >= SERIES_BYTES_MAX)
          throw new Error(`bug: series ${refs[i]} does not fit into ${out.bytes} bytes`);
        out.ensure(out.bytes * 2);
        continue;
      }
      at += wrote;
      i++;
    }
    const filled = head.kernel.u8.subarray(out.at, out.at + at);
    const bytes = mayLend ? lent.lend(at) : undefined;
    bytes?.set(filled);
    return { next: i, bytes: bytes ?? filled.slice() };
  };

  const slice = (id: number, cursor: Cursor): Transferred<ShardSlice> => {
    const { startMs, endMs } = cursor;
    const warnings = shard.lossWarnings(startMs, endMs);
    const { next, bytes } = fill(cursor);
    cursor.at = next;
    cursor.usedMs = clock.monotonicMs();
    const more = next < cursor.refs.length;
    if (more) cursors.set(id, cursor);
    else cursors.delete(id);
    hold();
    const answer = { cursor: more ? id : 0, bytes, warnings };
    return Transferred.of(answer, movedOf([answer]));
  };

  /** Refs of the series that any of the lists matches, each once. */
  const refsOf = async (request: HeadLabels, turn: MatchTurn): Promise<Uint32Array> => {
    const tenant = head.tenant(request.tenant);
    if (tenant === undefined) return new Uint32Array(0);
    const { matchers: lists, startMs, endMs } = request;
    if (lists.length < 2) return matching.select(tenant, lists[0] ?? [], startMs, endMs, turn);
    const seen = new Uint8Array(exports.seriesTop());
    const all: Uint32Array[] = [];
    for (const matchers of lists) {
      const refs = await matching.select(tenant, matchers, startMs, endMs, turn);
      all.push(
        refs.filter((ref) => {
          const isNew = seen[ref] !== 1;
          // a later one may come twice, which does no harm
          seen[ref] = 1;
          return isNew;
        }),
      );
    }
    return joinedRefs(all);
  };

  /** Reads under way, by tenant. */
  const reading = new Map<string, number>();

  /** Looks for series of a tenant in turns with others. */
  const read = async <T>(tenant: string, signal: AbortSignal | undefined, find: (turn: MatchTurn) => Promise<T>) => {
    mustBeReady();
    const own = reading.get(tenant) ?? 0;
    if (own >= TENANT_READS_MAX) throw queryErrors.tooManySelectsOfTenant({ limit: TENANT_READS_MAX });
    reading.set(tenant, own + 1);
    hold();
    try {
      return await find(turns.begin(tenant, signal));
    } finally {
      const left = reading.get(tenant)! - 1;
      if (left > 0) reading.set(tenant, left);
      else reading.delete(tenant);
      hold();
    }
  };

  const select: ShardRole['select'] = async (request, call) => {
    mustBeReady();
    expire();
    if (cursors.size >= CURSORS_MAX) throw queryErrors.tooManySelects({ limit: CURSORS_MAX });
    const { matchers, startMs, endMs, shard: part, packed = false, mayLend = false, keeps = false } = request;
    if (part !== undefined && !isSeriesShard(part)) throw new Error(`bug: no shard is ${part.index} of ${part.count}`);
    return read(request.tenant, call?.signal, async (turn) => {
      const tenant = head.tenant(request.tenant);
      let refs: Uint32Array = new Uint32Array(0);
      let kept: KeptSelect | undefined;
      if (tenant !== undefined) {
        const counter = keeps ? matching.counterOf(tenant, matchers) : 0;
        const value = head.changes.value(counter);
        const all = await matching.all(tenant, matchers, turn);
        if (keeps) kept = await keptSelects.of(all, counter, value, turn);
        refs = await matching.within(all, startMs, endMs, turn, part);
      }
      if (cursors.size >= CURSORS_MAX) throw queryErrors.tooManySelects({ limit: CURSORS_MAX });
      const first = slice(++lastCursor, {
        startMs,
        endMs,
        arena: 0,
        packed,
        refs,
        mayLend,
        at: 0,
        usedMs: clock.monotonicMs(),
      });
      const answer = { ...first.value, kept };
      return Transferred.of(answer, movedOf([answer]));
    });
  };

  const take: OwnShardRole['take'] = async ({ tenant, frames, areBlocks = false, limits, byFrame }) => {
    const result =
      frames.length === 0 ? NOTHING : await shard.push(tenant, areBlocks ? framesOf(frames) : frames, limits, byFrame);
    const { first } = result;
    return {
      result: { ...result, first: first && { ...first, labels: first.labels.toString() } },
      keysTaken: shard.state === 'live',
      tenantSeries: shard.state === 'live' ? (head.tenant(tenant)?.seriesCount ?? 0) : undefined,
    };
  };

  return {
    async push({ frames, bytes, ...how }) {
      const answer = await take({ ...how, frames: new Uint8Array(frames, 0, bytes) });
      return Transferred.of({ ...answer, frames }, [frames]);
    },
    take,
    setDeletions: ({ tenant, deletions }) => shard.deletions.set(tenant, deletions),
    deletionsRead({ atMs }) {
      mustBeReady();
      shard.deletionsRead(atMs);
    },
    deletionsReadMs() {
      mustBeReady();
      return shard.deletionsReadMs;
    },
    vouchDeletions() {
      mustBeReady();
      shard.vouchDeletions();
    },
    setMetadata: ({ tenant, entries, limits }) => shard.setMetadata(tenant, entries, limits),
    memory: () => head.memory,
    select,
    async selects({ requests }, call) {
      mustBeReady();
      if (requests.length > SELECTS_AT_ONCE_MAX) throw new Error(`bug: ${requests.length} selects in one message`);
      const slices: (ShardSlice | undefined)[] = [];
      for (const request of requests) {
        const found = await select(request, call).catch(() => undefined);
        slices.push(found?.value);
      }
      return Transferred.of(slices, movedOf(slices));
    },
    async selectNext({ cursor: id }) {
      const cursor = cursors.get(id);
      if (cursor === undefined) throw queryErrors.cursorExpired({ idleMs: CURSOR_IDLE_MS });
      return slice(id, cursor);
    },
    selectClose({ cursor }) {
      cursors.delete(cursor);
      hold();
    },
    tally(request, call) {
      const { startMs, endMs } = request;
      return read(request.tenant, call?.signal, async (turn) => {
        if (shard.lossWarnings(startMs, endMs).length > 0) return undefined;
        const tenant = head.tenant(request.tenant);
        const refs = tenant && (await matching.select(tenant, request.matchers, startMs, endMs, turn));
        return newest.of(refs ?? new Uint32Array(0), request, turn);
      });
    },
    size(request, call) {
      const { startMs, endMs } = request;
      return read(request.tenant, call?.signal, async (turn) => {
        const tenant = head.tenant(request.tenant);
        const refs = tenant && (await matching.select(tenant, request.matchers, startMs, endMs, turn));
        return sizes.of(refs ?? new Uint32Array(0), request, turn);
      });
    },
    losses({ startMs, endMs }) {
      mustBeReady();
      return shard.losses(startMs, endMs);
    },
    labels(request, call) {
      return read(request.tenant, call?.signal, async (turn) =>
        matching.labels(await refsOf(request, turn), request.name, turn),
      );
    },
    metadata({ tenant }) {
      mustBeReady();
      return shard.metadata.of(tenant);
    },
    exemplars(request, call) {
      return read(request.tenant, call?.signal, (turn) => findExemplars(head, request, turn));
    },
    async seal({ beforeMs, except }) {
      mustBeReady();
      return byWindow(await shard.seal(beforeMs, except));
    },
    async unflushed() {
      mustBeReady();
      return byWindow(await shard.unflushed());
    },
    held() {
      mustBeReady();
      return byWindow(shard.arenas());
    },
    async export({ arena, tenant: id, ...slots }) {
      mustBeReady();
      const tenant = head.tenant(id);
      return holding(async () => {
        const refs = tenant === undefined ? new Uint32Array(0) : await exportOrder.refs(tenant, arena, slots);
        return slice(++lastCursor, {
          startMs: -9.2e18,
          endMs: 9.2e18,
          arena,
          packed: true,
          refs,
          mayLend: false,
          at: 0,
          usedMs: clock.monotonicMs(),
        });
      });
    },
    async slots({ arena, tenant: id, ...slots }) {
      mustBeReady();
      const tenant = head.tenant(id);
      if (tenant === undefined) return { slots: new Set(), series: 0 };
      return holding(() => exportOrder.slots(tenant, arena, slots));
    },
    async digests({ arena, tenant: id, ...slots }) {
      mustBeReady();
      const tenant = head.tenant(id);
      if (tenant === undefined) return [];
      return holding(() => heldDigests.of(tenant, arena, slots));
    },
    async tenantsOf({ arena, only }) {
      mustBeReady();
      const pacer = new Pacer(clock, { sliceMs: SLICE_MS });
      const found = new Set<number>();
      const top = exports.seriesTop();
      for (let at = 0; at < top; at += 65536) {
        const refsAt = refsScratch.ensure(65536 * 4);
        const count = exports.refsOfArena(arena, at, at + 65536, refsAt);
        const { view } = head.kernel;
        for (let i = 0; i < count; i++) found.add(exports.seriesTenant(view.getUint32(refsAt + 4 * i, true)));
        await pacer.step();
      }
      for (const ref of head.rich.refsOfArena(arena)) found.add(exports.seriesTenant(ref));
      if (only === undefined) return Uint32Array.from(found);
      const index = head.tenant(only)?.index;
      return Uint32Array.from(index !== undefined && found.has(index) ? [index] : []);
    },
    arenaTenants({ indexes, metricSeriesMin }) {
      mustBeReady();
      return [...indexes.subarray(0, TENANTS_AT_ONCE_MAX)].flatMap((index) => {
        const tenant = head.tenants[index];
        // deleted, and forgotten since
        return tenant === undefined ? [] : [arenaTenant(head, tenant, metricSeriesMin)];
      });
    },
    sizeOf({ tenant, metricSeriesMin }) {
      mustBeReady();
      const found = head.tenant(tenant);
      return found && arenaTenant(head, found, metricSeriesMin);
    },
    async deleteTenant({ tenant }) {
      mustBeReady();
      await shard.deleteTenant(tenant);
    },
    confirmFlushed: ({ sealLsn }) => shard.confirmFlushed(sealLsn),
    ready: () => shard.ready,
    stats: () => shard.stats(),
    loops: () => shard.loopStates,
    tenants(request) {
      if ('tenant' in request) {
        const tenant = head.tenant(request.tenant);
        return { tenants: tenant === undefined ? [] : [statsOf(tenant)], next: 0 };
      }
      const to = request.from + TENANTS_AT_ONCE_MAX;
      const tenants = head.tenants
        .slice(request.from, to)
        .flatMap((each) => (each === undefined ? [] : [statsOf(each)]));
      return { tenants, next: to < head.tenants.length ? to : 0 };
    },
    async headStats({ tenant, limit }) {
      mustBeReady();
      return statistics.of(tenant, limit);
    },
    close: (options) => shard.close(options),
  };
}

/** Buffers of slices that move to who asked; the others are lent. */
function movedOf(slices: readonly (ShardSlice | undefined)[]): ArrayBuffer[] {
  return slices.flatMap((each) => {
    if (each === undefined) return [];
    const { bytes, kept } = each;
    const arrays = kept === undefined ? [bytes] : [bytes, kept.refs, kept.keys, kept.heads, kept.headEnds];
    return arrays.flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
  });
}

function byWindow(arenas: readonly SavedArena[]): UnflushedWindow[] {
  const windows = new Map<string, { window: number; sealLsn: number; arenas: number[] }>();
  for (const { id, window, sealLsn } of arenas) {
    getOrMake(windows, `${sealLsn} ${window}`, () => ({ window, sealLsn, arenas: [] as number[] })).arenas.push(id);
  }
  return [...windows.values()];
}

function arenaTenant(head: Head, tenant: HeadTenant, metricSeriesMin: number): ArenaTenant {
  const metrics = new Map<string, number>();
  for (const [pair, { length }] of tenant.metrics) {
    if (length > metricSeriesMin) metrics.set(head.pairText(pair)[1], length);
  }
  return { tenant: tenant.id, series: tenant.seriesCount, metrics };
}

function statsOf({ id, seriesCount }: HeadTenant): TenantStats {
  return { tenant: id, series: seriesCount };
}
