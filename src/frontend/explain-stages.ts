import type { QueryExplanation, QueryResult } from '../contract/query.ts';
import type { StepRange } from './split.ts';

/** Stages of the front end that a query went through, the first one outermost, around what evaluated it. */
export function explainStages(stages: readonly string[], inner: QueryExplanation): QueryExplanation {
  return stages.reduceRight<QueryExplanation>(
    (child, what) => ({ what, steps: child.steps, series: child.series, points: 0, ms: child.ms, children: [child] }),
    inner,
  );
}

/** The parts of a query by time, each around what evaluated it. */
export function explainParts(
  parts: readonly StepRange[],
  results: readonly QueryResult[],
): QueryExplanation | undefined {
  const children = results.flatMap(({ explanation }, i) => {
    if (explanation === undefined) return [];
    const { startMs, endMs } = parts[i]!;
    return explainStages([`part from ${isoOf(startMs)} to ${isoOf(endMs)}`], explanation);
  });
  if (children.length === 0) return undefined;
  const sum = (of: (part: QueryExplanation) => number) => children.reduce((total, part) => total + of(part), 0);
  return {
    what: `merge of ${parts.length} parts by time`,
    steps: sum(({ steps }) => steps),
    series: children.reduce((most, { series }) => Math.max(most, series), 0),
    points: 0,
    ms: sum(({ ms }) => ms),
    children,
  };
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
