import type { PushedSample, PushedSeries, PushResponse, SeriesBackend } from '../contract/push.ts';
import type { Clock } from '../lib/clock.ts';
import { RuleError, type RuleSample } from './evaluate.ts';
import type { Refusal, RuleSink, RuleWrite } from './group-run.ts';
import { PART_SERIES_MAX } from './recorded-series.ts';

/** Samples of a rule that were not taken. */
export class RuleWriteError extends RuleError {
  /** Whether the tenant is at fault: its limits, its samples. */
  readonly isUsers: boolean;

  constructor(text: string, isUsers: boolean) {
    super(text);
    this.isUsers = isUsers;
  }
}

/** Series of one request. */
const SERIES_MAX = PART_SERIES_MAX;
/** Waits before a write is tried again that failed for no fault of its own. */
const RETRY_MS = [100, 500, 1500];

/** At most so many series as one request may have. */
interface Piece {
  readonly count: number;
  readonly series: readonly PushedSeries[];
  readonly encoded: readonly Uint8Array[];
}

interface Waiting {
  readonly pieces: readonly Piece[];
  resolve(error: RuleWriteError | undefined): void;
  reject(reason: unknown): void;
}

/**
 * Writes what rules of a tenant make, never into a window for samples that come late. What groups write at the same moment goes in one
 * request.
 */
export class PushSink implements RuleSink {
  readonly #backend: SeriesBackend;
  readonly #tenant: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #waiting: Waiting[] = [];

  constructor(backend: SeriesBackend, tenant: string, clock: Clock, signal: AbortSignal) {
    this.#backend = backend;
    this.#tenant = tenant;
    this.#clock = clock;
    this.#signal = signal;
  }

  async append(timeMs: number, writes: readonly RuleWrite[]): Promise<readonly (readonly Refusal[])[]> {
    const all = await Promise.allSettled(writes.map((write) => this.#written(piecesOf(timeMs, write))));
    // not sooner: the next evaluation puts its values into the parts that are encoded
    const thrown = all.find((each) => each.status === 'rejected');
    if (thrown !== undefined) throw thrown.reason;
    return all.map((each) => {
      const error = each.status === 'fulfilled' ? each.value : undefined;
      return error === undefined ? [] : [{ labels: undefined, error }];
    });
  }

  #written(pieces: readonly Piece[]): Promise<RuleWriteError | undefined> {
    if (pieces.length === 0) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ pieces, resolve, reject });
      if (this.#waiting.length === 1) void this.#clock.turn().then(() => this.#flush());
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let batch: Waiting[] = [];
    let count = 0;
    for (const each of waiting) {
      const own = each.pieces.reduce((sum, piece) => sum + piece.count, 0);
      if (count > 0 && count + own > SERIES_MAX) {
        void this.#writeAll(batch);
        batch = [];
        count = 0;
      }
      batch.push(each);
      count += own;
    }
    void this.#writeAll(batch);
  }

  async #writeAll(batch: readonly Waiting[]): Promise<void> {
    try {
      const error = await this.#push(batch.flatMap(({ pieces }) => pieces));
      if (error === undefined || batch.length === 1 || !error.isUsers) {
        for (const { resolve } of batch) resolve(error);
        return;
      }
      // whose samples they were is said by writing each rule's again: what was taken is taken again
      for (const { pieces, resolve } of batch) resolve(await this.#push(pieces));
    } catch (thrown) {
      for (const { reject } of batch) reject(thrown);
    }
  }

  async #push(pieces: readonly Piece[]): Promise<RuleWriteError | undefined> {
    let last: RuleWriteError | undefined;
    for (const request of requestsOf(pieces)) {
      const { status, text } = await this.#tried(request);
      if (status >= 300) last = new RuleWriteError(text.trim(), status < 500);
    }
    return last;
  }

  async #tried(pieces: readonly Piece[]): Promise<PushResponse> {
    const series = pieces.length === 1 ? pieces[0]!.series : pieces.flatMap((piece) => piece.series);
    const encoded = pieces.flatMap((piece) => piece.encoded);
    const request = { tenant: this.#tenant, series, encoded, inOrder: true };
    for (let tries = 0; ; tries++) {
      this.#signal.throwIfAborted();
      const response = await this.#backend.pushSeries(request, this.#signal);
      const waitMs = RETRY_MS[tries];
      if (response.status < 500 || waitMs === undefined) return response;
      await this.#clock.sleep(waitMs, this.#signal);
    }
  }
}

/** Pieces that go in one request each. */
function requestsOf(pieces: readonly Piece[]): readonly (readonly Piece[])[] {
  const requests: Piece[][] = [];
  let count = SERIES_MAX;
  for (const piece of pieces) {
    if (count + piece.count > SERIES_MAX) {
      requests.push([]);
      count = 0;
    }
    requests.at(-1)!.push(piece);
    count += piece.count;
  }
  return requests;
}

function piecesOf(timeMs: number, write: RuleWrite): Piece[] {
  const pieces: Piece[] = [];
  const series = seriesOf(timeMs, write);
  for (let from = 0; from < series.length; from += SERIES_MAX) {
    const some = series.slice(from, from + SERIES_MAX);
    pieces.push({ count: some.length, series: some, encoded: [] });
  }
  if (write.recorded === undefined) return pieces;
  const { series: known, floats } = write.recorded;
  let left = known.size;
  for (const part of known.encoded(timeMs, floats)) {
    const count = Math.min(PART_SERIES_MAX, left);
    pieces.push({ count, series: [], encoded: [part] });
    left -= count;
  }
  return pieces;
}

function seriesOf(timeMs: number, { samples, stale }: RuleWrite): PushedSeries[] {
  return [
    ...samples.map(({ labels, ...sample }) => ({ pairs: labels.pairs, samples: [pushed(timeMs, sample)] })),
    ...stale.map(({ pairs }) => ({ pairs, samples: [{ timeMs, stale: true as const }] })),
  ];
}

function pushed(timeMs: number, { value, histogram }: Omit<RuleSample, 'labels'>): PushedSample {
  return histogram === undefined ? { timeMs, value } : { timeMs, histogram };
}
