import path from 'node:path';
import type { Disk } from '../../ingester/log/disk.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { KvClient } from '../../kv/client.ts';
import { type Clock, timeout } from '../../lib/clock.ts';
import { systemBytes } from '../../lib/random.ts';
import {
  type ClusterSettings,
  checkSettings,
  decodeSettings,
  encodeSettings,
  isEarlier,
  judgeSettings,
  type KeptSettings,
  SERIES_KEY_BYTES,
  SETTINGS_KEY,
} from '../../ring/settings.ts';

export interface SettingsKeeperOptions {
  readonly kv: KvClient;
  readonly own: ClusterSettings;
  /** Where they lie beside the log; absent: nowhere. */
  readonly disk: Disk | undefined;
  readonly folder: string;
  /** Settings as other processes know them, asked where the store of the ring has none or is away; undefined: nobody does. */
  readonly others?: (signal: AbortSignal) => Promise<KeptSettings | undefined>;
  /** Settings of all other processes, asked where the store of the ring has another key of series. */
  readonly everyOther?: (signal: AbortSignal) => Promise<OthersSettings>;
  /**
   * Called with each look that finds that this process works with another key of series than the cluster, from the second on: it is to
   * be ended, so that it takes the cluster's when it is started again. Absent: somebody has to see that.
   */
  readonly onOtherKey?: () => void;
  /** How often the store is looked at. */
  readonly lookMs: number;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Settings in common as other processes told them. */
export interface OthersSettings {
  /** Number of processes that were asked. */
  readonly asked: number;
  /** Settings of those that told them in time. */
  readonly told: readonly KeptSettings[];
}

const FILE = 'ring-settings.json';
const CALL_MS_MAX = 10_000;
const AGAIN_MS = 1000;
const SAY_MS = 10_000;
/** A process that keeps nothing starts without them after this time, and counts as not ready until the ring is known. */
const WAIT_MS_MAX = 10_000;
/** The same where the store of the ring answers and has none: who keeps them puts them back meanwhile. */
const WAIT_EMPTY_MS_MAX = 60_000;

const OTHER_KEY_TEXT =
  'the cluster has another key of series than this process drew when it found none: it ends, to take that of the cluster when it is started again, in its turn, as soon as the other owners of its arcs are all there (with one replica it has none, and is to be started again by hand)';

/** Error of a process that keeps nothing, where the store of the ring has no settings. */
class NoSettingsYet extends Error {}

/** The settings that a cluster has in common: agreed on at the start, kept beside the log, put back where the store lost them. */
export class SettingsKeeper {
  readonly #options: SettingsKeeperOptions;
  #kept: KeptSettings | undefined;
  /** Whether threads have the key of series: it stays until the next start. */
  #isAgreed = false;
  /** Why the store of the ring has not told them yet; undefined: nobody waits for it. */
  awaited: string | undefined;
  /** Why this process cannot go on as it is; undefined: it can. */
  problem: string | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: SettingsKeeperOptions) {
    this.#options = options;
  }

  get seriesKey(): Uint8Array | undefined {
    return this.#kept === undefined ? undefined : Buffer.from(this.#kept.seriesKey, 'hex');
  }

  /** The settings as they are known here, for a process that asks for them; undefined: none are. */
  get known(): KeptSettings | undefined {
    return this.#kept;
  }

  /**
   * Agrees with the cluster.
   * @throws errors.ringSettingsDiffer
   */
  async agree(signal: AbortSignal): Promise<void> {
    await this.#agree(signal).finally(() => {
      this.awaited = undefined;
    });
    this.#isAgreed = true;
  }

  async #agree(signal: AbortSignal): Promise<void> {
    const { clock, log, disk, own } = this.#options;
    this.#kept = this.#saved();
    const beganMs = clock.monotonicMs();
    let saidMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      try {
        this.#take(await this.#read(signal));
        return;
      } catch (thrown) {
        if (signal.aborted) throw signal.reason;
        if ((thrown as { facts?: { id: string } }).facts?.id === 'ring-settings-differ') throw thrown;
        if (this.#kept === undefined && !(thrown instanceof NoSettingsYet)) {
          const told = await this.#ask(signal);
          if (told !== undefined) {
            log.warn({ err: (thrown as Error).message }, 'settings of the cluster are those that other processes know');
            this.#take(told);
            return;
          }
        }
        const nowMs = clock.monotonicMs();
        const waitMs = thrown instanceof NoSettingsYet ? WAIT_EMPTY_MS_MAX : WAIT_MS_MAX;
        if (this.#kept !== undefined || (disk === undefined && nowMs - beganMs > waitMs)) {
          log.warn({ err: (thrown as Error).message }, 'the store of the ring is away; starting without it');
          break;
        }
        this.awaited = (thrown as Error).message;
        if (nowMs - saidMs > SAY_MS) {
          log.warn({ err: (thrown as Error).message }, 'waiting for the store of the ring');
          saidMs = nowMs;
        }
      }
      await clock.sleep(AGAIN_MS, signal);
    }
    if (this.#kept !== undefined) checkSettings(own, this.#kept, clock.nowMs());
  }

  /** Looks now and then whether the store still has them, and what periods were added, until the signal. */
  watch(signal: AbortSignal): void {
    this.#looking = this.#look(signal);
  }

  /** Resolves when it has stopped looking. */
  settled(): Promise<void> {
    return this.#looking;
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { clock, log, lookMs } = this.#options;
    let said = '';
    while (!signal.aborted) {
      await clock.sleep(lookMs, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        const hadProblem = this.problem !== undefined;
        this.#take(await this.#read(signal));
        said = '';
        if (hadProblem && this.problem !== undefined) this.#options.onOtherKey?.();
      } catch (thrown) {
        const { message } = thrown as Error;
        if (!signal.aborted && message !== said)
          log.warn({ err: message }, 'settings of the cluster could not be looked at');
        said = message;
      }
    }
  }

  /** Settings as others know them. */
  async #ask(signal: AbortSignal): Promise<KeptSettings | undefined> {
    return this.#options.others?.(signal);
  }

  #take(kept: KeptSettings): void {
    const { own, clock, disk, log } = this.#options;
    checkSettings(own, kept, clock.nowMs());
    if (this.#isAgreed && this.#kept !== undefined && this.#kept.seriesKey !== kept.seriesKey) {
      if (this.problem === undefined) log.error({}, OTHER_KEY_TEXT);
      this.problem = OTHER_KEY_TEXT;
    } else {
      this.#kept = kept;
      this.problem = undefined;
    }
    const bytes = encodeSettings(kept);
    const saved = this.#saved();
    if (saved === undefined || Buffer.compare(encodeSettings(saved), bytes) !== 0) disk?.writeWhole(this.#file, bytes);
  }

  get #file(): string {
    return path.join(this.#options.folder, FILE);
  }

  #saved(): KeptSettings | undefined {
    const { disk, folder } = this.#options;
    if (disk === undefined || !disk.list(folder).includes(FILE)) return undefined;
    const file = disk.open(this.#file);
    try {
      const bytes = new Uint8Array(file.bytes);
      file.read(bytes, 0);
      return decodeSettings(bytes);
    } finally {
      file.close();
    }
  }

  /**
   * Whether the kept key of series is the cluster's and not the one that the store has: it was lost there, and somebody drew another
   * one. A folder of another cluster has an earlier key, too, which none of those that run knows.
   * @throws Error where this process works with its key, and too few others can be reached to say whose is the cluster's
   */
  async #isClusters(kept: KeptSettings, found: KeptSettings, signal: AbortSignal): Promise<boolean> {
    if (kept.seriesKey === found.seriesKey || !(kept.drawnMs === undefined || isEarlier(kept, found))) return false;
    const { asked, told } = (await this.#options.everyOther?.(signal)) ?? { asked: 0, told: [] };
    if (this.#isAgreed && told.length * 2 < asked)
      throw new Error(
        `the store of the ring has another key of series, and only ${told.length} of ${asked} others say which is the cluster's`,
      );
    const knowing = (key: string) => told.filter(({ seriesKey }) => seriesKey === key).length;
    const ours = knowing(kept.seriesKey) + (this.#isAgreed ? 1 : 0);
    const theirs = knowing(found.seriesKey);
    return ours === theirs ? isEarlier(kept, found) : ours > theirs;
  }

  /**
   * The cluster's settings; an ingester's own are put where there are none, and periods to come where they are not known.
   * @throws NoSettingsYet where there are none, and this process, which kept none, would have to draw another key of series
   */
  async #read(signal: AbortSignal): Promise<KeptSettings> {
    const { kv, own, clock } = this.#options;
    const limit = timeout(clock, CALL_MS_MAX);
    const either = AbortSignal.any([signal, limit.signal]);
    try {
      for (;;) {
        const entry = await kv.get(SETTINGS_KEY, either);
        const found = entry === undefined ? undefined : decodeSettings(entry.value);
        const isKept =
          this.#kept !== undefined && (found === undefined || (await this.#isClusters(this.#kept, found, either)));
        if (found !== undefined) {
          const { differences, isAhead } = judgeSettings(own, found, clock.nowMs());
          if (differences.length > 0 || (!isAhead && !isKept)) return found;
        }
        const told = found === undefined && !isKept ? await this.#ask(either) : undefined;
        if (found === undefined && !isKept && told === undefined && this.#options.disk === undefined) {
          throw new NoSettingsYet('it has no settings of the cluster: ingesters put them there');
        }
        const { seriesKey, drawnMs } = (isKept ? this.#kept : (found ?? told)) ?? {
          seriesKey: Buffer.from(systemBytes(SERIES_KEY_BYTES)).toString('hex'),
          drawnMs: clock.nowMs(),
        };
        const periods = found === undefined ? own.periods : together(own.periods, found.periods);
        const next = { ...own, periods, seriesKey, ...(drawnMs !== undefined && { drawnMs }) };
        await kv.compareAndSet(SETTINGS_KEY, entry?.revision, encodeSettings(next), either);
      }
    } finally {
      limit.cancel();
    }
  }
}

type Periods = ClusterSettings['periods'];

function together(own: Periods, theirs: Periods): Periods {
  const byFrom = new Map([...own, ...theirs].map((period) => [period.fromMs ?? Number.NEGATIVE_INFINITY, period]));
  return [...byFrom].sort(([a], [b]) => a - b).map(([, period]) => period);
}
