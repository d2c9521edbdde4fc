import type { ApiAsker } from '../contract/api.ts';
import type { Clock } from '../lib/clock.ts';

export interface FoundMetricsOptions {
  /** Names of the metrics that a selector finds now. */
  readonly find: (tenant: string, selector: string, signal: AbortSignal) => Promise<readonly string[]>;
  readonly note: (tenant: string, names: readonly string[], asker: ApiAsker) => void;
  readonly clock: Clock;
}

/** How long the names that a selector found are taken for those that it finds. */
const KEPT_MS = 10 * 60_000;
/** Selectors of all tenants, and characters of their names, that are remembered. */
const KEPT_MAX = 2_000;
const KEPT_CHARS_MAX = 4_000_000;
/** Selectors that wait to be looked up; the use by others is not counted. */
const WAITING_MAX = 200;
/** Requests by one selector that wait for its names. */
const ASKERS_MAX = 1_000;

interface Waiting {
  readonly tenant: string;
  readonly selector: string;
  readonly askers: ApiAsker[];
}

interface Kept {
  readonly names: readonly string[];
  /** Those of the names and of the key. */
  readonly chars: number;
  readonly untilMs: number;
}

/** Counts the use of metrics that requests find by other labels than the name: looked up beside them, one selector at a time. */
export class FoundMetrics {
  readonly #options: FoundMetricsOptions;
  readonly #kept = new Map<string, Kept>();
  #keptChars = 0;
  readonly #waiting = new Map<string, Waiting>();
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: FoundMetricsOptions) {
    this.#options = options;
  }

  asked(tenant: string, selectors: readonly string[], asker: ApiAsker): void {
    const { note, clock } = this.#options;
    for (const selector of selectors) {
      const key = `${tenant} ${selector}`;
      const kept = this.#kept.get(key);
      if (kept !== undefined && kept.untilMs > clock.nowMs()) {
        note(tenant, kept.names, asker);
        continue;
      }
      const waiting = this.#waiting.get(key);
      if (waiting !== undefined) {
        if (waiting.askers.length < ASKERS_MAX) waiting.askers.push(asker);
      } else if (this.#waiting.size < WAITING_MAX) this.#waiting.set(key, { tenant, selector, askers: [asker] });
    }
    if (this.#waiting.size > 0 && !this.#stopped.signal.aborted) {
      this.#running ??= this.#run();
    }
  }

  /** Ends with the look-ups that wait undone. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  /** The look-ups that wait now are done. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    const { find, note, clock } = this.#options;
    const { signal } = this.#stopped;
    for (const [key, { tenant, selector, askers }] of this.#waiting) {
      if (signal.aborted) break;
      // one that cannot be looked up is asked for no sooner than others
      const names = await find(tenant, selector, signal).catch((): readonly string[] => []);
      this.#waiting.delete(key);
      this.#keep(key, names, clock.nowMs() + KEPT_MS);
      for (const asker of askers) note(tenant, names, asker);
    }
    // at once with the look whether more wait: who asks later begins anew
    this.#running = undefined;
  }

  #keep(key: string, names: readonly string[], untilMs: number): void {
    let chars = key.length;
    for (const name of names) chars += name.length;
    this.#keptChars -= this.#kept.get(key)?.chars ?? 0;
    this.#kept.delete(key);
    if (this.#kept.size >= KEPT_MAX || this.#keptChars + chars > KEPT_CHARS_MAX) {
      this.#kept.clear();
      this.#keptChars = 0;
    }
    this.#kept.set(key, { names, chars, untilMs });
    this.#keptChars += chars;
  }
}
