import { isReserved, Labels } from '../../model/labels.ts';
import { LabelMatcher } from '../../model/matcher.ts';
import type { SelectRequest } from '../../storage/queryable.ts';
import type { CallNode, InfoSelect, Select, SelectorNode } from '../plan/node.ts';
import { ABSENT, HISTOGRAM_POINT, type Operator, type OutputSeries, Row, RowTable, rowBytes } from '../row/row.ts';
import type { Execution } from './execution.ts';
import { SelectorOperator } from './selector.ts';
import type { Sources } from './sources.ts';

/** The labels by which an info series belongs to a series. */
const IDENTIFYING = ['instance', 'job'];
const IDENTIFYING_SET: ReadonlySet<string> = new Set(IDENTIFYING);
/** Beyond so many values of an identifying label the storage is not asked for them one by one. */
const ID_VALUES_MAX = 1000;
/** So long is a pattern of them at most, even where each character has to be quoted. */
const ID_CHARS_MAX = 30_000;

/**
 * `info(v, {…})`: series with the labels of the info series that go with them, at each step those of the newest sample.
 * Source: Prometheus `promql/info.go`.
 */
export async function addInfo(
  execution: Execution,
  sources: Sources,
  node: CallNode,
  input: Operator,
): Promise<Operator> {
  const info = node.info!;
  const base = await execution.keep(input);
  const isInfo = base.series.map(({ labels }) =>
    info.nameMatchers.every((matcher) => matcher.matches(labels.metricName)),
  );
  const idValues = identifyingValues(base.series.filter((_, i) => !isInfo[i]));
  const infos =
    idValues.size === 0 ? RowTable.empty(base.steps) : await fetchInfos(execution, sources, node, info, idValues);
  return new Joiner(execution, base, isInfo, infos, info).run();
}

function identifyingValues(series: readonly OutputSeries[]): Map<string, Set<string>> {
  const values = new Map<string, Set<string>>();
  for (const { labels } of series) {
    for (const name of IDENTIFYING) {
      const value = labels.get(name);
      if (value === '') continue;
      let known = values.get(name);
      if (known === undefined) {
        known = new Set();
        values.set(name, known);
      }
      known.add(value);
    }
  }
  return values;
}

/** Rows whose values are the times of the info series' samples. */
async function fetchInfos(
  execution: Execution,
  sources: Sources,
  node: CallNode,
  info: InfoSelect,
  idValues: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<RowTable> {
  const { grid } = node;
  const matchers = [...info.nameMatchers, ...info.dataMatchers];
  for (const [name, values] of idValues) {
    if (values.size > ID_VALUES_MAX || charsOf(values) > ID_CHARS_MAX) continue;
    matchers.push(LabelMatcher.of(name, '=~', [...values].map(quoteRegex).join('|')));
  }
  const dataStepMs = info.fixed ? 0 : grid.stepMs;
  const request: SelectRequest & Select = {
    matchers,
    startMs: info.dataStartMs - execution.lookbackMs + 1,
    endMs: info.dataStartMs + (grid.steps - 1) * dataStepMs,
  };
  const set = await sources.select(request);
  const selector: SelectorNode = {
    kind: 'selector',
    select: request,
    smoothed: false,
    statsOnly: false,
    dataStartMs: info.dataStartMs,
    grid: { ...grid, stepMs: dataStepMs },
    pos: node.pos,
  };
  const series = set.series.map((labels) => ({ labels, dropName: false }));
  return execution.keep(new SelectorOperator(execution, selector, set, series, 'info-timestamp'));
}

function charsOf(values: ReadonlySet<string>): number {
  let chars = 0;
  for (const value of values) chars += value.length;
  return chars;
}

function quoteRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

class Joiner {
  readonly #execution: Execution;
  readonly #base: RowTable;
  readonly #isInfo: readonly boolean[];
  readonly #infos: RowTable;
  readonly #info: InfoSelect;
  readonly #series: OutputSeries[] = [];
  readonly #rows: Row[] = [];
  readonly #byKey = new Map<string, number>();

  constructor(execution: Execution, base: RowTable, isInfo: readonly boolean[], infos: RowTable, info: InfoSelect) {
    this.#execution = execution;
    this.#base = base;
    this.#isInfo = isInfo;
    this.#infos = infos;
    this.#info = info;
  }

  async run(): Promise<Operator> {
    const base = this.#base;
    const candidates = this.#candidates();
    const dataNames = new Set(this.#info.dataMatchers.map(({ name }) => name));
    const needsInfo = this.#info.dataMatchers.some((matcher) => !matcher.matchesEmpty);
    for (let i = 0; i < base.series.length; i++) {
      if (this.#execution.due) await this.#execution.breathe();
      const row = base.rowAt(i);
      const { labels } = base.series[i]!;
      const own = this.#isInfo[i] ? undefined : candidates.get(identity(labels));
      const joined = new Map<string, Labels>();
      for (let step = 0; step < row.steps; step++) {
        if (row.present[step] === ABSENT) continue;
        if (this.#isInfo[i]) {
          this.#put(base.series[i]!, labels, row, step);
          continue;
        }
        const found = own === undefined ? [] : this.#newest(own, step);
        if (found.length === 0) {
          if (!needsInfo) this.#put(base.series[i]!, labels, row, step);
          continue;
        }
        const key = found.join(',');
        let enriched = joined.get(key);
        if (enriched === undefined) {
          enriched = this.#join(labels, found, dataNames);
          joined.set(key, enriched);
        }
        this.#put(base.series[i]!, enriched, row, step);
      }
    }
    return new RowTable(base.steps, this.#series, this.#rows);
  }

  /** Info series by identity, then by metric. */
  #candidates(): Map<string, Map<string, number[]>> {
    const byIdentity = new Map<string, Map<string, number[]>>();
    for (let i = 0; i < this.#infos.series.length; i++) {
      const { labels } = this.#infos.series[i]!;
      const key = identity(labels);
      let byName = byIdentity.get(key);
      if (byName === undefined) {
        byName = new Map();
        byIdentity.set(key, byName);
      }
      const series = byName.get(labels.metricName);
      if (series === undefined) byName.set(labels.metricName, [i]);
      else series.push(i);
    }
    return byIdentity;
  }

  /** The series with the newest sample at a step, one for each info metric that has any. */
  #newest(byName: ReadonlyMap<string, readonly number[]>, step: number): number[] {
    const found: number[] = [];
    for (const series of byName.values()) {
      let best = -1;
      for (const i of series) {
        const row = this.#infos.rowAt(i);
        if (row.present[step] === ABSENT) continue;
        if (row.present[step] === HISTOGRAM_POINT) {
          this.#execution.fail(`this should be an info metric, with float samples: ${this.#infos.series[i]!.labels}`);
        }
        if (best < 0) {
          best = i;
          continue;
        }
        const bestMs = this.#infos.rowAt(best).values[step]!;
        const timeMs = row.values[step]!;
        if (timeMs === bestMs) {
          const a = this.#infos.series[best]!.labels;
          const b = this.#infos.series[i]!.labels;
          this.#execution.fail(
            `found duplicate series for info metric: existing ${a} @ ${bestMs}, new ${b} @ ${timeMs}`,
          );
        }
        if (timeMs > bestMs) best = i;
      }
      if (best >= 0) found.push(best);
    }
    return found;
  }

  #join(base: Labels, infos: readonly number[], dataNames: ReadonlySet<string>): Labels {
    const added = new Map<string, string>();
    for (const i of infos) {
      for (const [name, value] of this.#infos.series[i]!.labels) {
        if (isReserved(name)) continue;
        if (dataNames.size > 0 && !dataNames.has(name)) continue;
        const before = added.get(name);
        if (before !== undefined && before !== value) this.#execution.fail(`conflicting label: ${name}`);
        if (!base.has(name)) added.set(name, value);
      }
    }
    if (added.size === 0) return base;
    let chars = 0;
    for (const [name, value] of added) chars += name.length + value.length;
    this.#execution.admitLabels(base, added.size, chars);
    return Labels.fromEntries([...base, ...added]);
  }

  #put(from: OutputSeries, labels: Labels, row: Row, step: number): void {
    let at = this.#byKey.get(labels.key);
    if (at === undefined) {
      at = this.#series.length;
      this.#byKey.set(labels.key, at);
      this.#series.push({ labels, dropName: from.dropName });
      this.#rows.push(new Row(row.steps));
      this.#execution.hold(row.steps, rowBytes(row.steps));
    }
    const to = this.#rows[at]!;
    if (to.present[step] !== ABSENT) this.#execution.fail('vector cannot contain metrics with the same labelset');
    to.take(step, row, step);
  }
}

function identity(labels: Labels): string {
  return labels.keep(IDENTIFYING_SET).key;
}
