import type { FoundDeployment } from './version-track.ts';

/** Instances of a service at one minute, and those of them that began within the last ten minutes. */
export interface StartCounts {
  readonly instances: number;
  readonly young: number;
  /** When the first of the young ones began, Unix ms; NaN without young ones. */
  readonly firstStartMs: number;
}

/** Age up to which an instance is young. */
export const YOUNG_MS = 10 * 60_000;
const MINUTE_MS = 60_000;
/** Minutes with data that are kept: those before the first young instance say how many there were. */
const BEFORE_MINUTES = 30;

/** Finds restarts of most instances by their start times. Instances that are added are none. */
export class RestartTrack {
  /** Numbers of instances, the newest last. */
  readonly #before: { readonly timeMs: number; readonly instances: number }[] = [];
  #isRestarting = false;
  #lastMs = Number.NEGATIVE_INFINITY;

  get lastMs(): number {
    return this.#lastMs;
  }

  push(minuteMs: number, { instances, young, firstStartMs }: StartCounts): FoundDeployment | undefined {
    if (instances === 0 || minuteMs <= this.#lastMs) return undefined;
    this.#lastMs = minuteMs;
    const before = this.#before.filter(({ timeMs }) => timeMs < firstStartMs).map((one) => one.instances);
    const usual = before.length === 0 ? 0 : Math.max(...before);
    const added = Math.max(0, instances - usual);
    this.#before.push({ timeMs: minuteMs, instances });
    if (this.#before.length > BEFORE_MINUTES) this.#before.shift();
    const isMost = (young - added) * 2 >= instances && young > added;
    const began = isMost && !this.#isRestarting && usual > 0;
    this.#isRestarting = isMost;
    if (!began) return undefined;
    const beginMs = Math.floor(firstStartMs / MINUTE_MS) * MINUTE_MS;
    return { kind: 'restart', from: '', to: '', beginMs, endMs: minuteMs };
  }
}
