import type { Extent } from './extents.ts';
import { isNoted } from './merge-steps.ts';
import type { StepRange } from './split.ts';

/** Steps that an extent has the answer of. */
export interface Piece extends StepRange {
  readonly extent: Extent;
}

export interface Coverage {
  /** Ascending, no step twice. */
  readonly pieces: readonly Piece[];
  /** The steps between them, in ranges of at least two, but for a part of one. */
  readonly gaps: readonly StepRange[];
}

/**
 * The steps of a part that extents have the answer of, and those that are to be evaluated.
 *
 * @param part at least two steps; or one, where it may be asked for by itself
 * @param extents of the same phase; they may overlap
 * @param expr the text that notes have to be told of
 */
export function coverageOf(part: StepRange, stepMs: number, extents: readonly Extent[], expr: string): Coverage {
  let pieces: Piece[] = [];
  let nextMs = part.startMs;
  for (const extent of extents.toSorted((a, b) => a.startMs - b.startMs)) {
    const startMs = Math.max(nextMs, extent.startMs);
    const endMs = Math.min(part.endMs, extent.endMs);
    if (startMs > endMs) continue;
    const isWhole = startMs === extent.startMs && endMs === extent.endMs;
    // its notes may be of any of its steps
    if (isNoted(extent.steps) && !(isWhole && extent.expr === expr)) continue;
    pieces.push({ startMs, endMs, extent });
    nextMs = endMs + stepMs;
  }
  for (;;) {
    const gaps = gapsOf(part, stepMs, pieces);
    const lone = gaps.find(({ startMs, endMs }) => startMs === endMs);
    if (lone === undefined || pieces.length === 0) return { pieces, gaps };
    pieces = widened(lone.startMs, stepMs, pieces);
  }
}

function gapsOf({ startMs, endMs }: StepRange, stepMs: number, pieces: readonly Piece[]): StepRange[] {
  const gaps: StepRange[] = [];
  let fromMs = startMs;
  for (const piece of pieces) {
    if (piece.startMs > fromMs) gaps.push({ startMs: fromMs, endMs: piece.startMs - stepMs });
    fromMs = piece.endMs + stepMs;
  }
  if (fromMs <= endMs) gaps.push({ startMs: fromMs, endMs });
  return gaps;
}

/** Pieces without the step behind a gap of one, or the one before it. */
function widened(gapMs: number, stepMs: number, pieces: readonly Piece[]): Piece[] {
  const isBehind = pieces.some(({ startMs }) => startMs === gapMs + stepMs);
  const takenMs = isBehind ? gapMs + stepMs : gapMs - stepMs;
  return pieces.flatMap((piece) => {
    if (takenMs < piece.startMs || takenMs > piece.endMs) return [piece];
    const rest = isBehind ? { ...piece, startMs: takenMs + stepMs } : { ...piece, endMs: takenMs - stepMs };
    return rest.startMs > rest.endMs || isNoted(piece.extent.steps) ? [] : [rest];
  });
}
