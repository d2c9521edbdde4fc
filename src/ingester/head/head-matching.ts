import { Region } from '../../chunk/region.ts';
import { LABELS_BYTES_MAX } from '../../contract/ingest.ts';
import type { HeadMatcher } from '../../contract/ingester.ts';
import { encodePair } from '../../model/canonical.ts';
import { queryErrors } from '../../model/errors-query.ts';
import { METRIC_NAME } from '../../model/labels.ts';
import { type MatchTurn, matchesInTurns } from '../../model/match-turn.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import { KeptRegexes, PausedMatch, Regex } from '../../model/regex/regex.ts';
import { type SeriesShard, SHARD_HASHES, shardHas } from '../../model/series-shard.ts';
import type { Head } from './head.ts';
import { type KeptMatch, KeptMatches } from './kept-matches.ts';
import type { HeadTenant, RefList } from './tenant-index.ts';

const MATCHES = 1;
const DIFFERS = 2;

/** Series that the kernel looks at in one call. */
const REFS_AT_ONCE = 16_384;
/** Series whose labels are hashed in one call. */
const HASHED_AT_ONCE = 1024;
/** Steps that looking at a series, at a metric and at a pair count beside the matching itself. */
const SERIES_STEPS = 4;
const METRIC_STEPS = 50;
const PAIR_STEPS = 100;
/** Steps that the hash of a series' labels counts. */
const HASH_STEPS = 32;

/**
 * Finds series in a head. Matchers are evaluated once for each distinct pair, series are then compared by pair ids. Works in slices: the
 * head goes on meanwhile, so refs must be held (`Head.holdRefs`) until the answer is there.
 */
export class HeadMatching {
  readonly #head: Head;
  readonly #refs: Region;
  readonly #verdicts: Region;
  readonly #asked: Region;
  readonly #text: Region;
  readonly #kept = new KeptMatches();
  /** Those that are in the kernel's memory. */
  #loaded: Verdicts | undefined;

  constructor(head: Head) {
    this.#head = head;
    this.#refs = new Region(head.kernel, 4 * REFS_AT_ONCE);
    this.#verdicts = new Region(head.kernel, 64 * 1024);
    this.#asked = new Region(head.kernel, 4 * REFS_AT_ONCE);
    this.#text = new Region(head.kernel, 4096);
  }

  /** Refs of the tenant's series that match all and have a chunk in the range; ascending where they are few. */
  async select(
    tenant: HeadTenant,
    matchers: readonly HeadMatcher[],
    startMs: number,
    endMs: number,
    turn: MatchTurn,
    shard?: SeriesShard,
  ): Promise<Uint32Array> {
    return this.within(await this.all(tenant, matchers, turn), startMs, endMs, turn, shard);
  }

  /** Refs of the tenant's series that match all, whenever they have samples, in no order. */
  all(tenant: HeadTenant, matchers: readonly HeadMatcher[], turn: MatchTurn): Promise<Uint32Array> {
    const list = this.#onlyMetric(tenant, matchers);
    return list === undefined ? this.#matched(tenant, matchers, turn) : this.#matchedOf(tenant, list, matchers, turn);
  }

  /** The counter of `HeadChanges` that is another one when other series match. */
  counterOf(tenant: HeadTenant, matchers: readonly HeadMatcher[]): number {
    const { changes } = this.#head;
    const exact = matchers.find(({ name, op }) => name === METRIC_NAME && op === '=');
    const id = exact === undefined ? -1 : this.#pair(METRIC_NAME, exact.value);
    // without series the pair may get another id
    const isThere = id >= 0 && (tenant.metrics.get(id)?.length ?? 0) > 0;
    return changes.counterOf(tenant.index, isThere ? id : undefined);
  }

  /** Those of `matched` that have a chunk in the range; ascending where they are few. */
  async within(
    matched: Uint32Array,
    startMs: number,
    endMs: number,
    turn: MatchTurn,
    shard?: SeriesShard,
  ): Promise<Uint32Array> {
    const found: Uint32Array[] = [];
    for (let from = 0; from < matched.length; from += REFS_AT_ONCE) {
      const refs = matched.subarray(from, from + REFS_AT_ONCE);
      turn.steps -= SERIES_STEPS * refs.length;
      if (turn.isDue()) await turn.pause();
      const inRange = this.#inRange(this.#living(refs), startMs, endMs);
      found.push(shard === undefined ? inRange : await this.#inShard(inRange, shard, turn));
    }
    return joinedRefs(found);
  }

  /** Series of the one metric that can match, where something else is asked of them too. */
  #onlyMetric(tenant: HeadTenant, matchers: readonly HeadMatcher[]): RefList | undefined {
    const exact = matchers.find(({ name, op }) => name === METRIC_NAME && op === '=');
    if (exact === undefined || matchers.length < 2) return undefined;
    const id = this.#pair(METRIC_NAME, exact.value);
    return id < 0 ? undefined : tenant.metrics.get(id);
  }

  /** As `#matched`, of which only series are looked at that are new since the last time. */
  async #matchedOf(
    tenant: HeadTenant,
    list: RefList,
    matchers: readonly HeadMatcher[],
    turn: MatchTurn,
  ): Promise<Uint32Array> {
    const key = KeptMatches.keyOf(tenant.index, matchers);
    if (key === undefined) return this.#matched(tenant, matchers, turn);
    const kept = this.#kept.get(key, list);
    const { length: looked, removals } = list;
    if (kept?.looked === looked) return kept.refs;
    const refs = await this.#matched(tenant, matchers, turn, kept);
    if (list.removals === removals) this.#kept.put(key, { list, removals, looked, refs });
    return refs;
  }

  /**
   * Refs of the tenant's series that match all.
   * @param kept those that are known, where one metric can match
   */
  async #matched(
    tenant: HeadTenant,
    matchers: readonly HeadMatcher[],
    turn: MatchTurn,
    kept?: KeptMatch,
  ): Promise<Uint32Array> {
    const compiled = matchers.map(compiledMatcher);
    const names = compiled.filter(({ name }) => name === METRIC_NAME);
    const candidates = await this.#candidates(tenant, names, turn, kept?.looked);
    const others = compiled.filter(({ name }) => name !== METRIC_NAME).map((matcher) => new Verdicts(matcher));
    const found: Uint32Array[] = kept === undefined ? [] : [kept.refs];
    try {
      for (let from = 0; from < candidates.length; from += REFS_AT_ONCE) {
        let refs = candidates.subarray(from, from + REFS_AT_ONCE);
        for (const verdicts of others) {
          if (refs.length === 0) break;
          turn.steps -= SERIES_STEPS * refs.length;
          if (turn.isDue()) await turn.pause();
          refs = await this.#filter(refs, verdicts, turn);
        }
        found.push(refs);
      }
    } finally {
      if (this.#loaded !== undefined && others.includes(this.#loaded)) this.#loaded = undefined;
    }
    return joinedRefs(found);
  }

  /** Those with chunks in the range, and those with samples that the kernel does not keep. */
  #inRange(refs: Uint32Array, startMs: number, endMs: number): Uint32Array {
    const rich = this.#richRefs(refs, startMs, endMs);
    const at = this.#put(refs);
    const count = this.#head.kernel.exports.filterTime(at, refs.length, clampMs(startMs), clampMs(endMs));
    const found = new Uint32Array(this.#head.kernel.u8.buffer, at, count).slice();
    return (rich.length === 0 ? found : Uint32Array.from(new Set([...found, ...rich]))).sort();
  }

  async #inShard(refs: Uint32Array, shard: SeriesShard, turn: MatchTurn): Promise<Uint32Array> {
    const { kernel } = this.#head;
    const found: number[] = [];
    for (let from = 0; from < refs.length; from += HASHED_AT_ONCE) {
      const some = this.#living(refs.subarray(from, from + HASHED_AT_ONCE));
      const at = this.#put(some);
      const out = this.#asked.ensure(4 * some.length);
      const text = this.#text.ensure(LABELS_BYTES_MAX);
      kernel.exports.seriesParts(at, some.length, SHARD_HASHES, text, LABELS_BYTES_MAX, out);
      const hashes = new Uint32Array(kernel.u8.buffer, out, some.length);
      for (let i = 0; i < some.length; i++) if (shardHas(shard, hashes[i]!)) found.push(some[i]!);
      turn.steps -= HASH_STEPS * some.length;
      if (turn.isDue()) await turn.pause();
    }
    return Uint32Array.from(found);
  }

  #richRefs(refs: Uint32Array, startMs: number, endMs: number): number[] {
    const { rich } = this.#head;
    if (rich.seriesCount === 0) return [];
    const found: number[] = [];
    for (const ref of refs) if (rich.touches(ref, startMs, endMs)) found.push(ref);
    return found;
  }

  /** Series may go while others have their turn. */
  #living(refs: Uint32Array): Uint32Array {
    const { exports } = this.#head.kernel;
    return refs.every((ref) => exports.seriesIsLive(ref)) ? refs : refs.filter((ref) => exports.seriesIsLive(ref));
  }

  #put(refs: Uint32Array): number {
    const at = this.#refs.ensure(refs.length * 4);
    new Uint32Array(this.#head.kernel.u8.buffer, at, refs.length).set(refs);
    return at;
  }

  /**
   * Refs of the metrics whose name matches.
   * @param from where in the list of the only metric to begin
   */
  async #candidates(
    tenant: HeadTenant,
    matchers: readonly LabelMatcher[],
    turn: MatchTurn,
    from = 0,
  ): Promise<Uint32Array> {
    const exact = matchers.find(({ op }) => op === '=');
    if (exact !== undefined) {
      const id = this.#pair(METRIC_NAME, exact.value);
      const list = id < 0 ? undefined : tenant.metrics.get(id);
      if (list === undefined) return new Uint32Array(0);
      const refs = list.refs.slice(from);
      for (const matcher of matchers)
        if (!(await matchesInTurns(matcher, exact.value, turn))) return new Uint32Array(0);
      return refs;
    }
    const lists: Uint32Array[] = [];
    for (const [metric, list] of tenant.metrics) {
      turn.steps -= METRIC_STEPS;
      if (turn.isDue()) await turn.pause();
      if (list.length === 0) continue;
      const refs = list.refs.slice();
      if (matchers.length > 0) {
        const name = this.#textOf(metric);
        if (name === undefined) continue;
        let matches = true;
        for (const matcher of matchers) matches &&= await matchesInTurns(matcher, name, turn);
        if (!matches) continue;
      }
      lists.push(refs);
    }
    return joinedRefs(lists);
  }

  /** The id of a pair, or with `value` absent of a name; −1 where no series has it. */
  #pair(name: string, value?: string): number {
    const bytes = encodePair(name, value);
    return this.#head.kernel.exports.pairFind(this.#text.put(bytes), bytes.length);
  }

  /** The value of a pair; undefined where it has gone while others had their turn. */
  #textOf(id: number): string | undefined {
    const lives = this.#head.kernel.exports.pairBytes(id) >>> 0 > PAIR_HEAD_BYTES;
    return lives ? this.#head.pairText(id)[1] : undefined;
  }

  async #filter(refs: Uint32Array, verdicts: Verdicts, turn: MatchTurn): Promise<Uint32Array> {
    const { matcher, missing } = verdicts;
    const living = this.#living(refs);
    const name = this.#pair(matcher.name);
    if (name < 0) return missing ? living : new Uint32Array(0);
    if (matcher.op === '=' && matcher.value !== '') {
      const id = this.#pair(matcher.name, matcher.value);
      if (id < 0) return new Uint32Array(0);
      this.#set(verdicts, id, MATCHES);
    } else {
      for (const id of this.#unknownPairs(living, name, verdicts)) {
        turn.steps -= PAIR_STEPS;
        const value = this.#textOf(id);
        let verdict = value === undefined ? false : matcher.match(value, turn);
        while (verdict instanceof PausedMatch) {
          if (turn.isDue()) await turn.pause();
          verdict = matcher.match(value!, turn, verdict);
        }
        this.#set(verdicts, id, verdict ? MATCHES : DIFFERS);
        if (turn.isDue()) await turn.pause();
      }
    }
    return this.#keep(this.#living(living), name, verdicts);
  }

  /** Pairs named `name` of the series that there is no verdict of so far. */
  #unknownPairs(refs: Uint32Array, name: number, verdicts: Verdicts): Uint32Array {
    const { kernel } = this.#head;
    const at = this.#put(refs);
    const asked = this.#asked.ensure(refs.length * 4);
    const loaded = this.#load(verdicts);
    const count = kernel.exports.collectPairs(at, refs.length, name, loaded, asked);
    return new Uint32Array(kernel.u8.buffer, asked, count).slice();
  }

  #set(verdicts: Verdicts, id: number, verdict: number): void {
    this.#head.kernel.u8[this.#load(verdicts) + id] = verdict;
  }

  /** Puts verdicts into the kernel's memory, where those of another matcher may be. */
  #load(verdicts: Verdicts): number {
    if (this.#loaded === verdicts) return this.#verdicts.at;
    const { kernel } = this.#head;
    const { at: before, bytes } = this.#verdicts;
    if (this.#loaded !== undefined)
      this.#loaded.saved = kernel.u8.slice(before, before + Math.min(bytes, this.#loaded.pairs));
    this.#loaded = verdicts;
    const pairs = kernel.exports.pairTop();
    const at = this.#verdicts.ensure(pairs);
    const saved = verdicts.saved?.length ?? 0;
    if (verdicts.saved !== undefined) kernel.u8.set(verdicts.saved, at);
    kernel.u8.fill(0, at + saved, at + pairs);
    verdicts.pairs = pairs;
    return at;
  }

  /** Those of `refs` whose pair has the verdict MATCHES. */
  #keep(refs: Uint32Array, name: number, verdicts: Verdicts): Uint32Array {
    const loaded = this.#load(verdicts);
    const at = this.#put(refs);
    const count = this.#head.kernel.exports.filterRefs(at, refs.length, name, loaded, verdicts.missing);
    return new Uint32Array(this.#head.kernel.u8.buffer, at, count).slice();
  }

  /** Distinct label names, or for `name` its values, of the series. @throws AppError where they are more than an answer may have */
  async labels(refs: Uint32Array, name: string | undefined, turn: MatchTurn): Promise<string[]> {
    const answer = new LabelAnswer();
    const all = new Verdicts(undefined);
    try {
      const nameId = name === undefined ? -1 : this.#pair(name);
      if (name !== undefined && nameId < 0) return [];
      for (let from = 0; from < refs.length; from += REFS_AT_ONCE) {
        const part = this.#living(refs.subarray(from, from + REFS_AT_ONCE));
        turn.steps -= SERIES_STEPS * part.length;
        if (name === undefined) {
          const loaded = this.#load(all);
          this.#head.kernel.exports.markPairs(this.#put(part), part.length, loaded);
        } else {
          for (const id of this.#unknownPairs(part, nameId, all)) {
            turn.steps -= PAIR_STEPS;
            const value = this.#textOf(id);
            if (value !== undefined) answer.add(value);
            if (turn.isDue()) await turn.pause();
          }
        }
        if (turn.isDue()) await turn.pause();
      }
      if (name === undefined) await this.#namesOf(all, answer, turn);
    } finally {
      if (this.#loaded === all) this.#loaded = undefined;
    }
    return answer.texts;
  }

  /** Names of the pairs that are marked. */
  async #namesOf(marks: Verdicts, answer: LabelAnswer, turn: MatchTurn): Promise<void> {
    const names = new Set<number>();
    for (let id = 0; id < marks.pairs; id++) {
      turn.steps--;
      if (turn.isDue()) await turn.pause();
      const { kernel } = this.#head;
      if (kernel.u8[this.#load(marks) + id] !== MATCHES || this.#textOf(id) === undefined) continue;
      const name = kernel.exports.pairName(id);
      if (names.has(name)) continue;
      names.add(name);
      answer.add(this.#head.pairText(name)[0]);
    }
  }
}

/** The verdicts of a matcher on each pair, as far as they are known. */
class Verdicts {
  readonly #matcher: LabelMatcher | undefined;
  /** Whether series without the label match. */
  readonly missing: boolean;
  /** By pair, while those of another matcher are in the kernel's memory. */
  saved: Uint8Array | undefined;
  /** Pairs that there are verdicts for; later ones are not of the series that are looked at. */
  pairs = 0;

  constructor(matcher: LabelMatcher | undefined) {
    this.#matcher = matcher;
    this.missing = matcher?.matchesEmpty ?? false;
  }

  get matcher(): LabelMatcher {
    return this.#matcher!;
  }
}

/** Characters of an answer: a shard has them all in memory before it sends them. */
const ANSWER_CHARS_MAX = 64 * 1024 * 1024;

class LabelAnswer {
  readonly texts: string[] = [];
  readonly #known = new Set<string>();
  #chars = 0;

  add(text: string): void {
    if (this.#known.has(text)) return;
    this.#known.add(text);
    this.texts.push(text);
    this.#chars += text.length;
    if (this.#chars > ANSWER_CHARS_MAX)
      throw queryErrors.labelAnswerTooLarge({ chars: this.#chars, limit: ANSWER_CHARS_MAX });
  }
}

/** Bytes of a record before the pair's text. A pair that is gone has its record at 0. */
const PAIR_HEAD_BYTES = 16;

/** Compiled here, or by whoever asks. */
const kept = new KeptRegexes();

/** @throws RegexSyntaxError */
export function compiledMatcher({ name, op, value, plan }: HeadMatcher): LabelMatcher {
  if (plan === undefined) return LabelMatcher.of(name, op, value);
  const make = () => Regex.of(value, plan);
  return LabelMatcher.withRegex(name, op, value === '' ? make() : kept.of(value, make));
}

/** All lists behind each other. */
export function joinedRefs(lists: readonly Uint32Array[]): Uint32Array {
  if (lists.length === 1) return lists[0]!;
  let count = 0;
  for (const { length } of lists) count += length;
  const all = new Uint32Array(count);
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}

/** Into what an i64 holds. */
function clampMs(ms: number): number {
  return Math.max(-9.2e18, Math.min(9.2e18, ms));
}
