import path from 'node:path';
import type { ReplicaLoss } from '../../contract/replica.ts';
import type { Clock } from '../../lib/clock.ts';
import type { SavedArena, SavedLoss } from '../log/checkpoint.ts';
import type { WalLoss } from '../log/wal.ts';
import type { ShardLog } from './logger.ts';

/** Losses that are told one by one; of more the last one tells. */
const LOSSES_MAX = 1000;
/** Losses in a row that are logged one by one. */
const LOSSES_LOGGED_MAX = 100;

export interface LossContext {
  /** A write that was cut short, of which nothing need have been acknowledged. */
  readonly isUnfinished?: boolean;
  readonly reason?: string;
  /** Samples and bytes read of the log so far, to guess from. */
  readonly read: { readonly samples: number; readonly bytes: number };
  /** Time of the sample read last, Unix ms; 0: there is none. */
  readonly newestMs: number;
  /** Time of the oldest sample that it can have held besides, Unix ms; absent: only the reach says. */
  readonly oldestMs?: number | undefined;
}

export interface LossesOptions {
  readonly windowMs: number;
  readonly log: ShardLog;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** A loss is told for so long after it was found. */
  readonly ageMsMax: number;
  /** How much older than the newest sample others are as they come, at most; absent: by no more than a window. */
  readonly reachMs?: () => number;
}

/** Parts of a log that could not be read: told to whoever asks for their time, for long enough. */
export class Losses {
  readonly #windowMs: number;
  readonly #log: ShardLog;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #ageMsMax: number;
  readonly #reachMs: () => number;
  #list: SavedLoss[] = [];
  /** Windows by arena that were there when the log was replayed, and that the store does not have yet. */
  readonly #unsettled = new Map<number, number>();
  #found = 0;
  /** Bytes and samples (as far as can be told), unfinished writes included. */
  bytes = 0;
  samples = 0;

  constructor(options: LossesOptions) {
    this.#windowMs = options.windowMs;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#ageMsMax = options.ageMsMax;
    this.#reachMs = options.reachMs ?? (() => 0);
  }

  get all(): readonly SavedLoss[] {
    if (this.#list.length > 0) this.#forgetOld();
    return this.#list;
  }

  /** Losses that were told for long enough are told no more, once the store has what was left of their windows. */
  #forgetOld(): void {
    const oldMs = this.#clock.nowMs() - this.#ageMsMax;
    const isOld = (loss: SavedLoss) => loss.foundMs !== undefined && loss.foundMs < oldMs && !this.#isHeld(loss);
    if (this.#list.some(isOld)) this.#list = this.#list.filter((loss) => !isOld(loss));
  }

  /** Those that a checkpoint or another file tells, each once. */
  load(losses: readonly SavedLoss[]): void {
    const keyOf = ({ file, position, fromMs, toMs }: SavedLoss) => `${file} ${position} ${fromMs} ${toMs}`;
    const known = new Set(this.#list.map(keyOf));
    const nowMs = this.#clock.nowMs();
    for (const loss of losses.slice(0, LOSSES_MAX)) {
      // found by an earlier version: told as long as if it were found now
      if (!known.has(keyOf(loss))) this.#list.push({ ...loss, foundMs: loss.foundMs ?? nowMs });
    }
  }

  add(
    { file, position, bytes, kind }: WalLoss,
    { isUnfinished = false, reason, read, newestMs: newest, oldestMs = Number.POSITIVE_INFINITY }: LossContext,
  ): void {
    const samples = read.bytes === 0 ? 0 : (bytes / read.bytes) * read.samples;
    this.bytes += bytes;
    this.samples += samples;
    this.#found++;
    const fields = { file, position, bytes, samplesAbout: Math.round(samples), ...(reason && { reason }) };
    if (isUnfinished) {
      this.#log('warn', 'cut off an unfinished record at the end of the log', fields);
      return;
    }
    // late samples are of windows further off
    const reachMs = Math.max(this.#windowMs, this.#reachMs());
    const fromMs = newest > 0 ? Math.max(0, Math.min(newest - reachMs, oldestMs)) : 0;
    const toMs = newest > 0 ? newest + this.#windowMs : Number.MAX_SAFE_INTEGER;
    const foundMs = this.#clock.nowMs();
    const last = this.#list.at(-1);
    if (last === undefined || this.#list.length < LOSSES_MAX) {
      this.#list.push({ file, position, bytes, samples: fields.samplesAbout, fromMs, toMs, foundMs });
    } else {
      const all = { bytes: last.bytes + bytes, samples: (last.samples ?? 0) + fields.samplesAbout };
      const [from, to] = [Math.min(last.fromMs, fromMs), Math.max(last.toMs, toMs)];
      this.#list.splice(-1, 1, { ...last, ...all, fromMs: from, toMs: to, foundMs });
    }
    if (this.#found > LOSSES_LOGGED_MAX) return;
    const told = { ...fields, fromMs, toMs };
    if (kind === 'damage') this.#log('error', 'a part of the log is corrupt: what it held is lost', told);
    else this.#log('warn', 'cut off what is damaged at the end of the log: what it held is lost', told);
  }

  /** Says which windows there are once the log is replayed: the store has to have them before a loss that they touch is all there is to say. */
  hold(arenas: readonly SavedArena[]): void {
    for (const { id, window, flushedMs } of arenas) if (flushedMs === 0) this.#unsettled.set(id, window);
  }

  /** Says which windows there are now, before an arena is used anew. */
  settle(arenas: readonly SavedArena[]): void {
    const left = new Set(arenas.filter(({ flushedMs }) => flushedMs === 0).map(({ id }) => id));
    for (const id of this.#unsettled.keys()) if (!left.has(id)) this.#unsettled.delete(id);
  }

  /** Those in the range, both ends inclusive. */
  touching(startMs: number, endMs: number): ReplicaLoss[] {
    return this.all
      .filter(({ fromMs, toMs }) => fromMs <= endMs && toMs >= startMs)
      .map((loss) => ({ text: textOf(loss), settled: !this.#isHeld(loss) }));
  }

  #isHeld({ fromMs, toMs }: SavedLoss): boolean {
    for (const window of this.#unsettled.values()) {
      if (window * this.#windowMs <= toMs && (window + 1) * this.#windowMs > fromMs) return true;
    }
    return false;
  }

  /** Losses known to be for good in the range, both ends inclusive, for an answer's warnings. */
  warnings(startMs: number, endMs: number): string[] {
    return this.all.filter(({ fromMs, toMs }) => fromMs <= endMs && toMs >= startMs).map(textOf);
  }
}

function textOf({ file, position, bytes, fromMs, toMs }: SavedLoss): string {
  // where no sample was read before it, any time may be touched
  const isKnown = toMs < Number.MAX_SAFE_INTEGER;
  const range = isKnown ? `samples from ${timeText(fromMs)} to ${timeText(toMs + 1)}` : '';
  if (bytes === 0) return `the machine stopped before its last writes were on the disk: ${range} may be missing`;
  const about = isKnown ? ` (${range})` : '';
  return `${bytes} bytes of ${path.basename(file)} at ${position}${about} were corrupt: samples may be missing`;
}

/** Samples may have times that no date has. */
function timeText(ms: number): string {
  return new Date(Math.max(-DATE_MS_MAX, Math.min(DATE_MS_MAX, ms))).toISOString();
}

const DATE_MS_MAX = 8.64e15;
