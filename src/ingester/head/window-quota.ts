import { getOrMake } from '../../lib/map.ts';

/** Windows that a head has open at once, all in all (kernel/arena.ts), less what is kept for current ones. */
const OLD_WINDOWS_MAX = 3072;
/** Old windows that each tenant may open while there are any, however many others have. */
const OLD_WINDOWS_MIN = 16;
/** Windows before and behind that of now that are current: they always have room. */
const CURRENT_BEFORE = 2;
const CURRENT_BEHIND = 1;
const WEEK_MS = 7 * 86_400_000;

/** Default of `max_old_windows_per_user`: six weeks of windows of two hours. */
export const OLD_WINDOWS_PER_USER = 512;

/**
 * Says which tenant may begin another window, far from now as it may lie. Each has memory, a place in a table that all share, and a
 * flush of its own, so that a tenant gets a number of them at a time, and at most half of those that are left. In as many weeks a tenant
 * may have windows while the process runs: the store has tables for each.
 */
export class WindowQuota {
  readonly #windowMs: number;
  /** Tenants that began the windows that are there; by window, since one may be there several times. */
  readonly #owners = new Map<number, number[]>();
  readonly #owned = new Map<number, number>();
  readonly #weeks = new Map<number, Set<number>>();
  /** Windows that are there and not current, or were not when they were begun. */
  #old = 0;
  #currentWindow: number | undefined;
  /** Whose samples come, and how many old windows that tenant may have; undefined: any. */
  #tenant: { readonly index: number; readonly windowsMax: number } | undefined;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  setNow(nowMs: number): void {
    this.#currentWindow = Math.floor(nowMs / this.#windowMs);
  }

  /** Samples that come now are this tenant's; of a log that is replayed, nobody's. @param windowsMax 0: no limit of the tenant's own */
  begin(tenant: number, windowsMax: number): void {
    this.#tenant = { index: tenant, windowsMax };
  }

  end(): void {
    this.#tenant = undefined;
  }

  /** Whether another window may be begun. It is counted. */
  admit(window: number): boolean {
    if (this.#tenant === undefined || this.#currentWindow === undefined) {
      this.#old++;
      return true;
    }
    const { index, windowsMax } = this.#tenant;
    if (isCurrent(window, this.#currentWindow)) return true;
    const owned = this.#owned.get(index) ?? 0;
    const share = Math.max(OLD_WINDOWS_MIN, Math.floor((OLD_WINDOWS_MAX - this.#old) / 2));
    const max = windowsMax === 0 ? share : Math.min(windowsMax, share);
    if (owned >= max || this.#old >= OLD_WINDOWS_MAX) return false;
    const weeks = getOrMake(this.#weeks, index, () => new Set<number>());
    const week = Math.floor((window * this.#windowMs) / WEEK_MS);
    if (windowsMax > 0 && weeks.size >= windowsMax && !weeks.has(week)) return false;
    weeks.add(week);
    this.#old++;
    this.#owned.set(index, owned + 1);
    getOrMake(this.#owners, window, () => [] as number[]).push(index);
    return true;
  }

  /** After replay: windows that are there now, begun by nobody in particular. */
  setHeld(windows: number): void {
    this.#old = windows;
  }

  /** A window went. @param left windows that are there now */
  drop(window: number, left: number): void {
    this.#old = Math.min(left, Math.max(0, this.#old - 1));
    const owners = this.#owners.get(window);
    const owner = owners?.shift();
    if (owner === undefined) return;
    if (owners!.length === 0) this.#owners.delete(window);
    const owned = this.#owned.get(owner)! - 1;
    if (owned === 0) this.#owned.delete(owner);
    else this.#owned.set(owner, owned);
  }

  /** Whether windows are there that the tenant began. */
  owns(tenant: number): boolean {
    return this.#owned.has(tenant);
  }

  forget(tenant: number): void {
    this.#weeks.delete(tenant);
  }
}

function isCurrent(window: number, currentWindow: number): boolean {
  return window >= currentWindow - CURRENT_BEFORE && window <= currentWindow + CURRENT_BEHIND;
}

/**
 * The same for requests that are only logged while a log is replayed: nobody knows yet which windows there are, so that each tenant's
 * are counted apart, and all of them get half of the places.
 */
export class StagedWindows {
  readonly #windowMs: number;
  readonly #byTenant = new Map<string, Set<number>>();
  #count = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Counts the windows of a request's samples. Returns a time that would begin one too many: then none of them is counted. */
  take(tenant: string, times: Iterable<number>, nowMs: number, windowsMax: number): number | undefined {
    const known = this.#byTenant.get(tenant);
    const currentWindow = Math.floor(nowMs / this.#windowMs);
    const room = Math.min(
      OLD_WINDOWS_MAX / 2 - this.#count,
      windowsMax === 0 ? Number.POSITIVE_INFINITY : windowsMax - (known?.size ?? 0),
    );
    const begun = new Set<number>();
    let last = currentWindow;
    for (const timeMs of times) {
      const window = Math.floor(timeMs / this.#windowMs);
      if (window === last) continue;
      last = window;
      if (isCurrent(window, currentWindow) || known?.has(window) === true || begun.has(window)) continue;
      if (begun.size >= room) return timeMs;
      begun.add(window);
    }
    if (begun.size === 0) return undefined;
    this.#count += begun.size;
    const all = getOrMake(this.#byTenant, tenant, () => new Set<number>());
    for (const window of begun) all.add(window);
    return undefined;
  }
}
