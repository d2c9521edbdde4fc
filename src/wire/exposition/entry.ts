import type { MetricType } from '../../model/metric-metadata.ts';

/** One entry of a text exposition, in its order. */
export type ExpositionEntry =
  | { readonly kind: 'type' | 'help' | 'unit'; readonly metric: string; readonly text: string }
  | { readonly kind: 'comment'; readonly text: string }
  | SeriesEntry;

interface SeriesEntry {
  readonly kind: 'series';
  /** name, value, … with the metric's name first; otherwise as they stand there. */
  readonly pairs: readonly string[];
  /** The type of the metric family, as far as it was told. */
  readonly type: MetricType;
  /** Name of the metric family that was told last; '' before the first. */
  readonly family: string;
  readonly value: number;
  readonly timeMs: number | undefined;
  readonly exemplar: ExpositionExemplar | undefined;
  /** Where `withStarts` has found one. */
  readonly startMs?: number;
}

export interface ExpositionExemplar {
  readonly pairs: readonly string[];
  readonly value: number;
  readonly timeMs: number | undefined;
}

const CREATED = '_created';

/**
 * With the series `…_created` of counters, histograms and summaries left out, and their values (Unix seconds) as start timestamps of
 * the series in front of them that they belong to.
 */
export function* withStarts(entries: Iterable<ExpositionEntry>): Generator<ExpositionEntry> {
  let run: SeriesEntry[] = [];
  for (const entry of entries) {
    if (entry.kind === 'series') {
      run.push(entry);
      continue;
    }
    yield* startedRun(run);
    run = [];
    yield entry;
  }
  yield* startedRun(run);
}

/** The series of one run, which are those of one family, with their start timestamps and without `…_created`. */
function startedRun(run: readonly SeriesEntry[]): SeriesEntry[] {
  const out: SeriesEntry[] = [];
  let key: string | undefined;
  let startMs = 0;
  for (const entry of run.toReversed()) {
    const { type, pairs, family } = entry;
    if (type !== 'counter' && type !== 'histogram' && type !== 'summary') {
      out.push(entry);
      continue;
    }
    const name = pairs[1]!;
    if (name.endsWith(CREATED)) {
      key = keyOf(entry, name.slice(0, -CREATED.length));
      startMs = Math.trunc(entry.value * 1000);
    } else if (key === keyOf(entry, name.slice(0, family.length))) out.push({ ...entry, startMs });
    else out.push(entry);
  }
  return out.reverse();
}

function keyOf({ pairs, type }: SeriesEntry, metric: string): string {
  const parts = [metric];
  for (let i = 2; i < pairs.length; i += 2) {
    if ((type === 'histogram' && pairs[i] === 'le') || (type === 'summary' && pairs[i] === 'quantile')) continue;
    parts.push(pairs[i]!, pairs[i + 1]!);
  }
  return JSON.stringify(parts);
}
