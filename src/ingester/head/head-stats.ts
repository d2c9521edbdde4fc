import { Region } from '../../chunk/region.ts';
import type { HeadTenantStats } from '../../contract/ingester.ts';
import type { Clock } from '../../lib/clock.ts';
import { getOrMake } from '../../lib/map.ts';
import { Pacer } from '../../lib/pacer.ts';
import type { Head } from './head.ts';

const REFS_AT_ONCE = 16_384;
/** Pairs that may come while others have their turn; with more, what was not yet looked at is left out. */
const PAIRS_MORE_MAX = 65_536;
const SLICE_MS = 5;

/** Counts of what a tenant's series are made of. Each looks at every series and every pair, a few milliseconds at a time. */
export class HeadStatistics {
  readonly #head: Head;
  readonly #clock: Clock;
  readonly #refs: Region;
  readonly #counts: Region;
  /** They share the counts: one after another. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(head: Head, clock: Clock) {
    this.#head = head;
    this.#clock = clock;
    this.#refs = new Region(head.kernel);
    this.#counts = new Region(head.kernel);
  }

  /** @param limit of each list */
  of(tenantId: string, limit: number): Promise<HeadTenantStats | undefined> {
    const result = this.#turn.then(() => this.#of(tenantId, limit));
    this.#turn = result.catch(() => {});
    return result;
  }

  async #of(tenantId: string, limit: number): Promise<HeadTenantStats | undefined> {
    const head = this.#head;
    const { kernel } = head;
    const { exports } = kernel;
    const tenant = head.tenant(tenantId);
    if (tenant === undefined) return undefined;
    const pacer = new Pacer(this.#clock, { sliceMs: SLICE_MS });
    const pairs = exports.pairTop() + PAIRS_MORE_MAX;
    const counts = this.#counts.ensure(pairs * 4);
    kernel.u8.fill(0, counts, counts + pairs * 4);
    let chunks = 0;
    let minTimeMs = Number.POSITIVE_INFINITY;
    let maxTimeMs = Number.NEGATIVE_INFINITY;
    const metrics: [name: string, count: number][] = [];
    for (const [metric, list] of [...tenant.metrics]) {
      if (this.#lives(metric)) metrics.push([head.pairText(metric)[1], list.length]);
      const refs = list.refs.slice();
      for (let from = 0; from < refs.length; from += REFS_AT_ONCE) {
        await pacer.step();
        if (exports.pairTop() > pairs) break;
        const part = refs.subarray(from, from + REFS_AT_ONCE);
        const at = this.#refs.ensure(part.length * 4);
        new Uint32Array(kernel.u8.buffer, at, part.length).set(part);
        exports.tallyStart();
        exports.tallySeries(at, part.length, counts);
        for (const { minMs, maxMs } of head.rich.extents(part)) {
          chunks++;
          minTimeMs = Math.min(minTimeMs, minMs);
          maxTimeMs = Math.max(maxTimeMs, maxMs);
        }
        if (exports.tallyChunks() === 0) continue;
        chunks += exports.tallyChunks();
        minTimeMs = Math.min(minTimeMs, exports.tallyMin());
        maxTimeMs = Math.max(maxTimeMs, exports.tallyMax());
      }
    }
    const names = new Map<number, { pair: number; values: number; bytes: number }>();
    const top = new Top(limit);
    let labelPairs = 0;
    for (let id = 0; id < Math.min(pairs, exports.pairTop()); id++) {
      if ((id & 4095) === 0) await pacer.step();
      const count = kernel.view.getUint32(counts + 4 * id, true);
      if (count === 0 || !this.#lives(id)) continue;
      labelPairs++;
      const nameId = exports.pairName(id);
      const name = getOrMake(names, nameId, () => ({ pair: id, values: 0, bytes: 0 }));
      name.values++;
      name.bytes += (exports.pairLen(id) - exports.pairNameLen(id)) * count;
      top.add(id, count);
    }
    const texts = (entries: readonly (readonly [id: number, count: number])[], text: (id: number) => string) =>
      entries.flatMap(([id, count]): [string, number][] => (this.#lives(id) ? [[text(id), count]] : []));
    const ofName = (id: number) => head.pairText(id)[0];
    const byName = [...names.values()];
    return {
      series: tenant.seriesCount,
      labelPairs,
      chunks,
      minTimeMs: chunks === 0 ? 0 : minTimeMs,
      maxTimeMs: chunks === 0 ? 0 : maxTimeMs,
      seriesByMetric: most(metrics, limit),
      valuesByLabel: texts(
        most(
          byName.map(({ pair, values }) => [pair, values]),
          limit,
        ),
        ofName,
      ),
      bytesByLabel: texts(
        most(
          byName.map(({ pair, bytes }) => [pair, bytes]),
          limit,
        ),
        ofName,
      ),
      seriesByPair: texts(top.entries(), (id) => head.pairText(id).join('=')),
    };
  }

  /** Whether the pair is still there: others may have had their turn since. */
  #lives(pair: number): boolean {
    return this.#head.kernel.exports.pairBytes(pair) >>> 0 > PAIR_HEAD_BYTES;
  }
}

/** Bytes of a record before the pair's text. A pair that is gone has its record at 0. */
const PAIR_HEAD_BYTES = 16;

type Count<K> = readonly [key: K, count: number];

function most<K>(counts: readonly Count<K>[], limit: number): Count<K>[] {
  return counts.toSorted((a, b) => b[1] - a[1]).slice(0, limit);
}

/** The largest of very many counts. */
class Top {
  readonly #limit: number;
  #kept: Count<number>[] = [];
  #least = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(key: number, count: number): void {
    if (count <= this.#least) return;
    this.#kept.push([key, count]);
    if (this.#kept.length < 2 * this.#limit) return;
    this.#kept = this.entries();
    this.#least = this.#kept.at(-1)![1];
  }

  entries(): Count<number>[] {
    return most(this.#kept, this.#limit);
  }
}
