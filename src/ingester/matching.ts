import { Region } from '../chunk/region.ts';
import type { HeadMatcher } from '../contract/ingester.ts';
import { encodePair } from '../model/canonical.ts';
import { METRIC_NAME } from '../model/labels.ts';
import { LabelMatcher } from '../model/matcher.ts';
import type { Head, HeadTenant } from './head.ts';

const MATCHES = 1;
const DIFFERS = 2;

/** Finds series in a head. Matchers are evaluated once for each distinct pair, series are then compared by pair ids. */
export class HeadMatching {
  readonly #head: Head;
  readonly #refs: Region;
  readonly #verdicts: Region;
  readonly #asked: Region;
  readonly #text: Region;

  constructor(head: Head) {
    this.#head = head;
    this.#refs = new Region(head.kernel, 256 * 1024);
    this.#verdicts = new Region(head.kernel, 64 * 1024);
    this.#asked = new Region(head.kernel, 256 * 1024);
    this.#text = new Region(head.kernel, 4096);
  }

  /** Refs of the tenant's series that match all and have a chunk in the range, ascending. */
  select(tenant: HeadTenant, matchers: readonly HeadMatcher[], startMs: number, endMs: number): Uint32Array {
    const compiled = matchers.map(({ name, op, value }) => LabelMatcher.of(name, op, value));
    const candidates = this.#candidates(
      tenant,
      compiled.filter(({ name }) => name === METRIC_NAME),
    );
    if (candidates.length === 0) return candidates;
    const { exports } = this.#head.kernel;
    const at = this.#refs.ensure(candidates.length * 4);
    new Uint32Array(this.#head.kernel.u8.buffer, at, candidates.length).set(candidates);
    let count = candidates.length;
    for (const matcher of compiled) {
      if (matcher.name === METRIC_NAME || count === 0) continue;
      count = this.#filter(at, count, matcher);
    }
    // what only has samples that the kernel does not keep
    const rich = this.#richRefs(new Uint32Array(this.#head.kernel.u8.buffer, at, count), startMs, endMs);
    count = exports.filterTime(at, count, clampMs(startMs), clampMs(endMs));
    const found = new Uint32Array(this.#head.kernel.u8.buffer, at, count).slice();
    return (rich.length === 0 ? found : Uint32Array.from(new Set([...found, ...rich]))).sort();
  }

  #richRefs(refs: Uint32Array, startMs: number, endMs: number): number[] {
    const { rich } = this.#head;
    if (rich.seriesCount === 0) return [];
    const found: number[] = [];
    for (const ref of refs) if (rich.touches(ref, startMs, endMs)) found.push(ref);
    return found;
  }

  /** Refs of the metrics whose name matches. */
  #candidates(tenant: HeadTenant, matchers: readonly LabelMatcher[]): Uint32Array {
    const exact = matchers.find(({ op }) => op === '=');
    if (exact !== undefined) {
      const id = this.#pair(METRIC_NAME, exact.value);
      const list = id < 0 ? undefined : tenant.metrics.get(id);
      return list !== undefined && matchers.every((m) => m.matches(exact.value)) ? list.refs : new Uint32Array(0);
    }
    const lists: Uint32Array[] = [];
    let total = 0;
    for (const [metric, list] of tenant.metrics) {
      if (matchers.length > 0) {
        const name = this.#head.pairText(metric)[1];
        if (!matchers.every((m) => m.matches(name))) continue;
      }
      lists.push(list.refs);
      total += list.length;
    }
    const all = new Uint32Array(total);
    let at = 0;
    for (const refs of lists) {
      all.set(refs, at);
      at += refs.length;
    }
    return all;
  }

  /** The id of a pair, or with `value` absent of a name; −1 where no series has it. */
  #pair(name: string, value?: string): number {
    const bytes = encodePair(name, value);
    return this.#head.kernel.exports.pairFind(this.#text.put(bytes), bytes.length);
  }

  #filter(at: number, count: number, matcher: LabelMatcher): number {
    const { kernel } = this.#head;
    const { exports } = kernel;
    const missing = matcher.matchesEmpty;
    const name = this.#pair(matcher.name);
    if (name < 0) return missing ? count : 0;
    const pairs = exports.pairTop();
    const verdicts = this.#verdicts.ensure(pairs);
    kernel.u8.fill(0, verdicts, verdicts + pairs);
    if (matcher.op === '=' && matcher.value !== '') {
      const id = this.#pair(matcher.name, matcher.value);
      if (id < 0) return 0;
      kernel.u8[verdicts + id] = MATCHES;
    } else {
      const asked = this.#asked.ensure(count * 4);
      const n = exports.collectPairs(at, count, name, verdicts, asked);
      for (let i = 0; i < n; i++) {
        const id = kernel.view.getUint32(asked + 4 * i, true);
        kernel.u8[verdicts + id] = matcher.matches(this.#head.pairText(id)[1]) ? MATCHES : DIFFERS;
      }
    }
    return exports.filterRefs(at, count, name, verdicts, missing);
  }

  /** Distinct label names, or for `name` its values, of the series. */
  labels(refs: Uint32Array, name: string | undefined): string[] {
    const { kernel } = this.#head;
    const { exports } = kernel;
    const at = this.#refs.ensure(refs.length * 4);
    new Uint32Array(kernel.u8.buffer, at, refs.length).set(refs);
    const pairs = exports.pairTop();
    const marks = this.#verdicts.ensure(pairs);
    kernel.u8.fill(0, marks, marks + pairs);
    const found = new Set<string>();
    if (name !== undefined) {
      const nameId = this.#pair(name);
      if (nameId < 0) return [];
      const asked = this.#asked.ensure(refs.length * 4);
      const n = exports.collectPairs(at, refs.length, nameId, marks, asked);
      for (let i = 0; i < n; i++) found.add(this.#head.pairText(kernel.view.getUint32(asked + 4 * i, true))[1]);
      return [...found];
    }
    exports.markPairs(at, refs.length, marks);
    const { u8 } = kernel;
    const names = new Set<number>();
    for (let id = 0; id < pairs; id++) if (u8[marks + id] === 1) names.add(exports.pairName(id));
    for (const id of names) found.add(this.#head.pairText(id)[0]);
    return [...found];
  }
}

/** Into what an i64 holds. */
function clampMs(ms: number): number {
  return Math.max(-9.2e18, Math.min(9.2e18, ms));
}
