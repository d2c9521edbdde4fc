import { Region } from '../../chunk/region.ts';
import type { HeadTally } from '../../contract/ingester.ts';
import { encodePair } from '../../model/canonical.ts';
import { type MatchTurn, STEPS_BETWEEN } from '../../model/match-turn.ts';
import { NO_TALLY, type SeriesTally } from '../../model/series-tally.ts';
import type { Head } from './head.ts';

/** Series that the kernel looks at in one call. */
const REFS_AT_ONCE = 4_096;
/** Steps that looking at a series counts, and at its pair of each name. */
const SERIES_STEPS = 10;
const PAIR_STEPS = 4;
const GROUP_STEPS = 100;

/** Groups of an answer: of more, each costs as much as the series would. */
const GROUPS_MAX = 10_000;
const NAMES_MAX = 16;

/** Counts the series that have a sample at a time, where they lie. */
export class NewestTally {
  readonly #head: Head;
  readonly #refs: Region;
  readonly #answers: Region;
  readonly #name: Region;

  constructor(head: Head) {
    this.#head = head;
    this.#refs = new Region(head.kernel, 4 * REFS_AT_ONCE);
    this.#answers = new Region(head.kernel, 4 * REFS_AT_ONCE);
    this.#name = new Region(head.kernel, 4096);
  }

  /**
   * @param refs series with chunks in the range, held until the answer is there
   * @returns undefined where it cannot be told here: some have histograms, or there are too many groups
   */
  async of(
    refs: Uint32Array,
    { by, startMs, endMs }: Pick<HeadTally, 'by' | 'startMs' | 'endMs'>,
    turn: MatchTurn,
  ): Promise<SeriesTally | undefined> {
    if (refs.length === 0) return NO_TALLY;
    if (by.length > NAMES_MAX) return undefined;
    const { rich } = this.#head;
    const groups = new Groups(this.#head);
    let all = 0;
    for (let from = 0; from < refs.length; ) {
      const asked = refs.subarray(from, from + REFS_AT_ONCE);
      if (rich.seriesCount > 0 && asked.some((ref) => rich.touches(ref, startMs, endMs))) return undefined;
      const there = this.#there(asked, startMs, endMs);
      const some = asked.subarray(0, there.length);
      if (by.length === 0) {
        for (const one of there) all += one;
      } else {
        const pairs = by.map((name) => this.#pairsOf(some, name));
        for (let i = 0; i < some.length; i++) groups.add(some[i]!, pairs, i, there[i]!);
      }
      if (groups.count > GROUPS_MAX) return undefined;
      from += some.length;
      // where few were looked at, each of them took as long as many do
      turn.steps -= some.length < asked.length ? STEPS_BETWEEN : (SERIES_STEPS + PAIR_STEPS * by.length) * some.length;
      if (turn.isDue()) await turn.pause();
    }
    if (by.length === 0) return { series: refs.length, groups: [{ values: [], count: all }] };
    turn.steps -= GROUP_STEPS * groups.count;
    return { series: refs.length, groups: groups.ascending() };
  }

  /** 1 for each that has a sample, else 0: of the first ones, where that takes long. */
  #there(refs: Uint32Array, startMs: number, endMs: number): Uint8Array {
    const { kernel } = this.#head;
    const at = this.#put(refs);
    const out = this.#answers.ensure(refs.length);
    const looked = kernel.exports.newestSamples(at, refs.length, startMs, endMs, out);
    return kernel.u8.slice(out, out + looked);
  }

  #pairsOf(refs: Uint32Array, name: string): Int32Array | undefined {
    const { kernel } = this.#head;
    const bytes = encodePair(name);
    const id = kernel.exports.pairFind(this.#name.put(bytes), bytes.length);
    if (id < 0) return undefined;
    const at = this.#put(refs);
    const out = this.#answers.ensure(4 * refs.length);
    kernel.exports.pairsNamed(at, refs.length, id, out);
    return new Int32Array(kernel.u8.buffer, out, refs.length).slice();
  }

  #put(refs: Uint32Array): number {
    const at = this.#refs.ensure(4 * refs.length);
    new Uint32Array(this.#head.kernel.u8.buffer, at, refs.length).set(refs);
    return at;
  }
}

interface Group {
  /** The value of each name, read at once: pairs may go. */
  readonly values: readonly string[];
  count: number;
  /** Least of its series. */
  first: number;
}

/** By a pair's id the groups of the next name, or of the last one the group. */
type PairNode = Map<number, PairNode | Group>;

class Groups {
  readonly #head: Head;
  readonly #all: Group[] = [];
  readonly #root: PairNode = new Map();

  constructor(head: Head) {
    this.#head = head;
  }

  get count(): number {
    return this.#all.length;
  }

  /** @param pairs of each name those of all series; undefined: none has it */
  add(ref: number, pairs: readonly (Int32Array | undefined)[], index: number, count: number): void {
    const group = this.#groupOf(ref, pairs, index);
    group.count += count;
    if (group.first === ref) return;
    const { exports } = this.#head.kernel;
    // one that went meanwhile has no labels to be compared
    if (!exports.seriesIsLive(ref)) return;
    if (!exports.seriesIsLive(group.first) || exports.compareSeries(ref, group.first) < 0) group.first = ref;
  }

  #groupOf(ref: number, pairs: readonly (Int32Array | undefined)[], index: number): Group {
    let node = this.#root;
    const last = pairs.length - 1;
    for (let i = 0; i < last; i++) {
      const id = pairs[i]?.[index] ?? -1;
      let next = node.get(id) as PairNode | undefined;
      if (next === undefined) {
        next = new Map();
        node.set(id, next);
      }
      node = next;
    }
    const id = pairs[last]?.[index] ?? -1;
    let group = node.get(id) as Group | undefined;
    if (group === undefined) {
      const values = pairs.map((each) => this.#textOf(each?.[index] ?? -1));
      group = { values, count: 0, first: ref };
      node.set(id, group);
      this.#all.push(group);
    }
    return group;
  }

  #textOf(pair: number): string {
    return pair < 0 ? '' : this.#head.pairText(pair)[1];
  }

  /** In the order of their least series. */
  ascending(): SeriesTally['groups'] {
    const { exports } = this.#head.kernel;
    const living = (group: Group) => exports.seriesIsLive(group.first);
    const order = (a: Group, b: Group) => (living(a) && living(b) ? exports.compareSeries(a.first, b.first) : 0);
    return this.#all.sort(order).map(({ values, count }) => ({ values, count }));
  }
}
