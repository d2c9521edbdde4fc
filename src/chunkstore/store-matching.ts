import type { LabelBlock, LabelColumn, Section } from '../chunk/group/series-block.ts';
import { getOrMake } from '../lib/map.ts';
import { LabelEncoder } from '../model/canonical.ts';
import { Labels, METRIC_NAME } from '../model/labels.ts';
import { labelsHash } from '../model/labels-hash.ts';
import { type MatchTurn, matchesInTurns } from '../model/match-turn.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import { type SeriesShard, shardHas } from '../model/series-shard.ts';

/**
 * Remembers label blocks by their bytes: a slot's series are mostly the same from window to window, and then labels are parsed,
 * matched and joined once.
 */
export class LabelBlocks {
  readonly #byLength = new Map<number, LabelBlock[]>();
  readonly #parse: (raw: Uint8Array) => LabelBlock;

  constructor(parse: (raw: Uint8Array) => LabelBlock) {
    this.#parse = parse;
  }

  readonly of = (raw: Uint8Array): LabelBlock => {
    const alike = getOrMake(this.#byLength, raw.length, () => [] as LabelBlock[]);
    const known = alike.find((block) => Buffer.compare(block.raw, raw) === 0);
    if (known !== undefined) return known;
    const block = this.#parse(raw);
    alike.push(block);
    return block;
  };
}

/** Steps that looking up a value counts beside the matching itself. */
const VALUE_STEPS = 20;

/** Matches a selector against label blocks, and numbers the series that match across all of them. */
export class SeriesMatcher {
  readonly #matchers: readonly LabelMatcher[];
  readonly #shard: SeriesShard | undefined;
  readonly #key: string;
  /** Results per matcher and value: regular expressions are run once per distinct value. */
  readonly #results: readonly Map<string, boolean>[];
  readonly #ids = new Map<string, number>();
  readonly #blocks = new Map<LabelBlock, Int32Array>();
  /** Labels of the series with each number. */
  readonly labels: Labels[] = [];

  /** Labels of blocks; absent: they are remembered for the next query. */
  readonly #own: Map<LabelBlock, (Labels | undefined)[]> | undefined;

  /** @param isOnce nothing is remembered for the next query */
  constructor(matchers: readonly LabelMatcher[], shard?: SeriesShard, isOnce = false) {
    this.#matchers = matchers;
    this.#shard = shard;
    this.#own = isOnce ? new Map() : undefined;
    this.#key = JSON.stringify([shard, matchers.map(({ name, op, value }) => [name, op, value])]);
    this.#results = matchers.map(() => new Map());
  }

  /** Finds out about the block's label values with turns for others in between, before `numbers` needs to know. */
  async prepare(block: LabelBlock, turn: MatchTurn): Promise<void> {
    if (this.#blocks.has(block) || this.#known(block)?.has(this.#key) === true) return;
    for (const section of block.sections) {
      for (const [m, matcher] of this.#matchers.entries()) {
        const results = this.#results[m]!;
        const column = section.columns.find((each) => block.symbol(each.name) === matcher.name);
        if (column === undefined) continue;
        for (const symbol of column.dictionary) {
          const value = block.symbol(symbol);
          turn.steps -= VALUE_STEPS;
          if (turn.isDue()) await turn.pause();
          if (!results.has(value)) results.set(value, await matchesInTurns(matcher, value, turn));
        }
      }
    }
  }

  /** For each series of the block its number, or −1 where it does not match. */
  numbers(block: LabelBlock): Int32Array {
    let numbers = this.#blocks.get(block);
    if (numbers === undefined) {
      numbers = new Int32Array(block.count).fill(-1);
      const all = this.#labelsOf(block);
      const found = this.#matching(block);
      for (let i = 0; i < found.length; i++) numbers[found[i]!] = this.#number(all[found[i]!]!);
      this.#blocks.set(block, numbers);
    }
    return numbers;
  }

  /** The series of the block that match; their labels are made by then. */
  #matching(block: LabelBlock): Uint32Array {
    const known = this.#known(block);
    let found = known?.get(this.#key);
    if (found === undefined) {
      const indexes: number[] = [];
      for (const section of block.sections) this.#matchSection(block, section, indexes);
      found = Uint32Array.from(indexes);
      if (known !== undefined && found.length <= MATCHED_KEPT_MAX) {
        if (known.size === SELECTORS_KEPT) known.delete(known.keys().next().value!);
        known.set(this.#key, found);
      }
    }
    return found;
  }

  #matchSection(block: LabelBlock, section: Section, found: number[]): void {
    const tests: { column: LabelColumn; ok: Uint8Array }[] = [];
    for (let m = 0; m < this.#matchers.length; m++) {
      const { name } = this.#matchers[m]!;
      const column = section.columns.find((each) => block.symbol(each.name) === name);
      if (column === undefined) {
        if (!this.#test(m, '')) return;
        continue;
      }
      const ok = Uint8Array.from(column.dictionary, (symbol) => (this.#test(m, block.symbol(symbol)) ? 1 : 0));
      if (!ok.includes(1)) return;
      if (ok.includes(0)) tests.push({ column, ok });
    }
    const labels = this.#labelsOf(block);
    for (let i = 0; i < section.count; i++) {
      if (!tests.every(({ column, ok }) => ok[column.indexes![i]!] === 1)) continue;
      const index = section.first + i;
      if (this.#shard !== undefined && !shardHas(this.#shard, hashOf(block, section, i))) continue;
      labels[index] ??= Labels.fromSortedPairs(block.pairs(section, i));
      found.push(index);
    }
  }

  /** Matches of earlier queries in the block, by selector; undefined: they do not matter. */
  #known(block: LabelBlock): Map<string, Uint32Array> | undefined {
    if (this.#own !== undefined) return undefined;
    return getOrMake(matchedOfBlocks, block, () => new Map<string, Uint32Array>());
  }

  #labelsOf(block: LabelBlock): (Labels | undefined)[] {
    if (this.#own === undefined) return labelsOf(block);
    return getOrMake(this.#own, block, () => new Array<Labels | undefined>(block.count));
  }

  #test(matcher: number, value: string): boolean {
    return getOrMake(this.#results[matcher]!, value, () => this.#matchers[matcher]!.matches(value));
  }

  #number(labels: Labels): number {
    const { key } = labels;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const number = this.labels.push(labels) - 1;
    this.#ids.set(key, number);
    return number;
  }
}

/** Matches of the last queries' selectors in blocks that are still open: a dashboard asks the same ones again and again. */
const matchedOfBlocks = new WeakMap<LabelBlock, Map<string, Uint32Array>>();
const SELECTORS_KEPT = 8;
const MATCHED_KEPT_MAX = 64 * 1024;

const labelsOfBlocks = new WeakMap<LabelBlock, (Labels | undefined)[]>();

/** Labels of the series of a block, made once, when they are first matched: blocks stay open from query to query. */
function labelsOf(block: LabelBlock): (Labels | undefined)[] {
  return getOrMake(labelsOfBlocks, block, () => new Array<Labels | undefined>(block.count));
}

const hashesOfBlocks = new WeakMap<LabelBlock, Float64Array>();
const labelEncoder = new LabelEncoder();

/** The hash of a series' labels, found once: every shard of a query asks for it. */
function hashOf(block: LabelBlock, section: Section, i: number): number {
  const hashes = getOrMake(hashesOfBlocks, block, () => new Float64Array(block.count).fill(-1));
  const index = section.first + i;
  if (hashes[index] === -1) hashes[index] = labelsHash(labelEncoder.encode(block.pairs(section, i)));
  return hashes[index]!;
}

/** Series of a group that match. */
export interface Matches {
  /** In the group. */
  readonly indexes: number[];
  /** Number of each of them among all series that match. */
  readonly numbers: number[];
}

/** Which metrics a selector may be about. */
export interface MetricFilter {
  /** The only names that can match, where they are known. */
  readonly names: readonly string[] | undefined;
  matches(name: string): boolean;
  /** As `matches`, with turns for others; afterwards `matches` knows. */
  find(name: string, turn: MatchTurn): Promise<boolean>;
  /** Whether series that pass `matches` need no look at their labels. */
  readonly decides: boolean;
}

export function metricFilter(matchers: readonly LabelMatcher[], shard?: SeriesShard): MetricFilter {
  const about = matchers.filter((matcher) => matcher.name === METRIC_NAME);
  const known = new Map<string, boolean>();
  const matches = (name: string) => getOrMake(known, name, () => about.every((matcher) => matcher.matches(name)));
  const find = async (name: string, turn: MatchTurn) => {
    let verdict = known.get(name) ?? about.length === 0;
    if (known.has(name) || verdict) return verdict;
    verdict = true;
    for (const matcher of about) verdict &&= await matchesInTurns(matcher, name, turn);
    known.set(name, verdict);
    return verdict;
  };
  const sets = about.flatMap((matcher) => (matcher.setMatches === undefined ? [] : [matcher.setMatches]));
  const smallest = sets.sort((a, b) => a.length - b.length)[0];
  return {
    names: smallest?.filter(matches),
    matches,
    find,
    decides: about.length === matchers.length && shard === undefined,
  };
}
