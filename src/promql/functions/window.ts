import { queryErrors } from '../../model/errors-query.ts';
import type { FloatHistogram } from '../../model/histogram.ts';
import type { Annotations } from '../annotations.ts';
import type { PosRange } from '../position.ts';
import type { SeriesSamples } from '../row/series-samples.ts';

/** The answers of a window function; a float is in `Window.value`, a histogram in `Window.histogram`. */
export const NOTHING = 0;
export const A_FLOAT = 1;
export const A_HISTOGRAM = 2;
export type WindowAnswer = typeof NOTHING | typeof A_FLOAT | typeof A_HISTOGRAM;

/** The samples of one series that one step sees; reused from step to step. Never empty when a function is called. */
export class Window {
  readonly samples: SeriesSamples;
  readonly annotations: Annotations;
  /** The position of the range vector argument, and that of every argument. */
  readonly argPos: PosRange;
  readonly #argsPos: readonly PosRange[];
  readonly callPos: PosRange;
  readonly rangeMs: number;
  /** How far back a selector looks for a sample. */
  readonly lookbackMs: number;
  readonly anchored: boolean;
  readonly smoothed: boolean;
  /** Whether it is a piece of a longer one. */
  readonly isPiece: boolean;
  /** Whether start timestamps count. */
  useStarts = false;
  metricName = '';

  /** Floats are `samples.floatValues[floatsFrom … floatsTo − 1]`, histograms alike. */
  floatsFrom = 0;
  floatsTo = 0;
  histogramsFrom = 0;
  histogramsTo = 0;
  /** The time of the step, and the window's bounds: open at `startMs`, closed at `endMs`. */
  timeMs = 0;
  startMs = 0;
  endMs = 0;
  /** The scalar arguments at this step, without the range vector. */
  readonly params: number[] = [];

  value = 0;
  histogram: FloatHistogram | undefined;

  constructor(init: {
    samples: SeriesSamples;
    annotations: Annotations;
    argPos: PosRange;
    argsPos: readonly PosRange[];
    callPos: PosRange;
    rangeMs: number;
    lookbackMs: number;
    anchored: boolean;
    smoothed: boolean;
    isPiece?: boolean;
  }) {
    this.samples = init.samples;
    this.annotations = init.annotations;
    this.argPos = init.argPos;
    this.#argsPos = init.argsPos;
    this.callPos = init.callPos;
    this.rangeMs = init.rangeMs;
    this.lookbackMs = init.lookbackMs;
    this.anchored = init.anchored;
    this.smoothed = init.smoothed;
    this.isPiece = init.isPiece ?? false;
  }

  callArgPos(index: number): PosRange {
    return this.#argsPos[index]!;
  }

  get floats(): number {
    return this.floatsTo - this.floatsFrom;
  }

  get histograms(): number {
    return this.histogramsTo - this.histogramsFrom;
  }

  float(value: number): WindowAnswer {
    this.value = value;
    return A_FLOAT;
  }

  histogramAnswer(histogram: FloatHistogram): WindowAnswer {
    this.histogram = histogram;
    return A_HISTOGRAM;
  }

  fail(text: string): never {
    throw queryErrors.queryFailed({ text });
  }

  /** For functions of floats that pass over histograms, and say so. */
  noteIgnoredHistograms(): void {
    if (this.histograms > 0)
      this.annotations.histogramIgnoredInMixedRange(this.metricName, this.callArgPos(0), this.callPos);
  }

  /** The same where there are no floats: other pieces of the window may have some. */
  noteHistogramsAlone(): void {
    if (this.isPiece) this.noteIgnoredHistograms();
  }
}

export type WindowFunction = (window: Window) => WindowAnswer;
