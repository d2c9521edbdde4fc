import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const EVERY_MS = 500;
/**
 * Lateness of this process' own timers from which on the machine is starved. That somebody waits for a processor says nothing: with a
 * cluster on a few of them somebody always does.
 */
const LATE_MS_MIN = 1_500;

interface Look {
  readonly atMs: number;
  /** Time in which somebody waited for a processor, since the machine's start; undefined: the system does not tell. */
  readonly waitedMs: number | undefined;
  /** Greatest lateness of timers since the look before. */
  readonly lateMs: number;
}

/** Lack of processors during some time. */
export interface Starved {
  /** From 0 to 1. */
  readonly pressure: number;
  readonly lateMs: number;
  readonly isStarved: boolean;
}

/** Notes how short of processors the machine is: where it starves, no time says anything of the cluster. */
export class Starvation implements Disposable {
  readonly #looks: Look[] = [];
  readonly #delay = monitorEventLoopDelay({ resolution: 20 });
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#delay.enable();
    this.#look();
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
  }

  #look(): void {
    this.#looks.push({ atMs: Date.now(), waitedMs: waitedMs(), lateMs: this.#delay.max / 1e6 });
    this.#delay.reset();
  }

  /** Between two times, Unix ms, and the looks before and after them. */
  between(fromMs: number, toMs: number): Starved {
    const first = Math.max(
      0,
      this.#looks.findLastIndex(({ atMs }) => atMs <= fromMs),
    );
    const after = this.#looks.findIndex(({ atMs }) => atMs >= toMs);
    const looks = this.#looks.slice(first, after < 0 ? undefined : after + 1);
    const [start, end] = [looks[0], looks.at(-1)];
    const spanMs = start === undefined || end === undefined ? 0 : end.atMs - start.atMs;
    const waited = (end?.waitedMs ?? 0) - (start?.waitedMs ?? 0);
    const pressure = spanMs === 0 ? 0 : Math.min(1, waited / spanMs);
    // the lateness of the first is of before
    const lateMs = looks.slice(1).reduce((max, look) => Math.max(max, look.lateMs), 0);
    return { pressure, lateMs, isStarved: lateMs >= LATE_MS_MIN };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#delay.disable();
  }
}

function waitedMs(): number | undefined {
  try {
    const total = /^some .*total=(\d+)/m.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1];
    return total === undefined ? undefined : Number(total) / 1000;
  } catch {
    return undefined;
  }
}
