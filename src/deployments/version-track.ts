import type { Deployment } from './deployment.ts';

/** A version as its labels have it; one of the two may be empty. */
export interface Version {
  readonly version: string;
  /** A commit, or the like. */
  readonly revision: string;
}

/** Instances of a service at one minute, by version. */
export type VersionCounts = readonly { readonly version: Version; readonly instances: number }[];

/** A deployment as a track finds it, without the evidence that the track stands for. */
export type FoundDeployment = Omit<Deployment, 'evidence'>;

const MINUTE_MS = 60_000;
/** Minutes with data in which a version must not have been seen to be a new one. */
const UNSEEN_MINUTES = 60;
/** Minutes with data, from a service's first on, in which it comes up: versions of that time begin nothing. */
const FIRST_MINUTES = 5;
/** A new version that fewer than half of the instances have is a canary after this time. */
const CANARY_AFTER_MS = 10 * MINUTE_MS;
/** Minutes with data without a new version after which it is gone. */
const GONE_MINUTES = 10;
/** Minutes with data for which a share must hold: at the edges of a gap some instances are seen before the others. */
const HOLD_MINUTES = 3;
/** Minutes with data for which an old version must be back. */
const REVERSAL_HOLD_MINUTES = 2;
/** Minutes with data within which instances that are away are replaced. */
const AWAY_MINUTES = 6;
/** Minutes with data of which the usual number of instances is the median. */
const USUAL_MINUTES = 30;
/** A roll-out that has no end after this time has none: both versions stay. */
const OPEN_MAX_MS = 24 * 3_600_000;
/** Versions that a track remembers; the ones seen longest ago go first. */
const VERSIONS_MAX = 100;
const ROLL_OUTS_MAX = 16;

interface Seen {
  /** The key of all spellings of one version. */
  readonly group: string;
  readonly raw: Version;
  /** Minute with data, counted from the track's first. */
  index: number;
  /** Half of the instances had it once. */
  held: boolean;
}

interface RollOut {
  readonly to: string;
  readonly from: string;
  readonly beginMs: number;
  readonly beginIndex: number;
  readonly returns: boolean;
  state: 'pending' | 'canary' | 'counted' | 'ended';
  /** Minutes with data in which the version was there. */
  present: number;
  lastPresentIndex: number;
  lastPresentMs: number;
  /** Minutes in a row in which half had it, and in which the old version was under a tenth; the first of the latter. */
  halfFor: number;
  overFor: number;
  overSinceMs: number;
  /** Half of the instances had it: it counts, or did. */
  hasCounted: boolean;
}

/** The instances of a minute with data. */
interface Minute {
  readonly timeMs: number;
  readonly byGroup: ReadonlyMap<string, number>;
  readonly total: number;
}

/**
 * Finds roll-outs in the numbers of instances by version, minute by minute. Minutes without data count for nothing: a gap ends
 * no version and begins none. Holds the last hour with data and roll-outs under way, bounded.
 */
export class VersionTrack {
  /** By `version NUL revision`. */
  readonly #seen = new Map<string, Seen>();
  readonly #rollOuts: RollOut[] = [];
  /** The last hour with data, this minute last. */
  readonly #minutes: Minute[] = [];
  /** Minutes with data so far. */
  #index = 0;
  #firstMs: number | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  /** The version that most instances had at the last minute with data. */
  #main = '';

  /** The first minute with data; undefined while there was none. */
  get firstMs(): number | undefined {
    return this.#firstMs;
  }

  /** The last minute with data. */
  get lastMs(): number {
    return this.#lastMs;
  }

  /** Takes the next minute, and answers what is new or has changed: a deployment is told when it counts, and when it ends. */
  push(minuteMs: number, counts: VersionCounts): FoundDeployment[] {
    const byGroup = this.#grouped(counts);
    let total = 0;
    for (const instances of byGroup.values()) total += instances;
    if (total === 0 || minuteMs <= this.#lastMs) return [];
    const found: FoundDeployment[] = [];
    const usual = this.#usual(total);
    this.#minutes.push({ timeMs: minuteMs, byGroup, total });
    if (this.#minutes.length > UNSEEN_MINUTES) this.#minutes.shift();
    for (const group of byGroup.keys()) this.#begin(group, minuteMs);
    for (const rollOut of this.#rollOuts) {
      const told = this.#step(rollOut, minuteMs, byGroup, total, usual);
      if (told !== undefined) found.push(told);
    }
    found.push(...this.#reversals(minuteMs, usual));
    this.#forget(minuteMs);
    for (const [group, instances] of byGroup) {
      for (const seen of this.#seen.values()) {
        if (seen.group !== group) continue;
        seen.index = this.#index;
        if (instances * 2 >= total && total * 2 >= usual) seen.held = true;
      }
    }
    if (total * 2 >= usual || this.#main === '') this.#main = largest(byGroup);
    this.#index++;
    this.#firstMs ??= minuteMs;
    this.#lastMs = minuteMs;
    return found;
  }

  /** Instances by the key that all spellings of a version share. */
  #grouped(counts: VersionCounts): Map<string, number> {
    const byGroup = new Map<string, number>();
    for (const { version, instances } of counts) {
      if (instances <= 0) continue;
      const key = `${version.version}\0${version.revision}`;
      let seen = this.#seen.get(key);
      if (seen === undefined) {
        seen = { group: this.#sameAs(version) ?? key, raw: version, index: Number.NEGATIVE_INFINITY, held: false };
        this.#seen.set(key, seen);
      }
      byGroup.set(seen.group, (byGroup.get(seen.group) ?? 0) + instances);
    }
    return byGroup;
  }

  /** The version that this one is with a label more or less, where it was seen within the last hour. */
  #sameAs({ version, revision }: Version): string | undefined {
    for (const { raw, group, index } of this.#seen.values()) {
      if (this.#index - index > UNSEEN_MINUTES) continue;
      const sameVersion = version !== '' && raw.version === version && (raw.revision === '') !== (revision === '');
      const sameRevision = revision !== '' && raw.revision === revision && (raw.version === '') !== (version === '');
      if (sameVersion || sameRevision) return group;
    }
    return undefined;
  }

  /** The median of the last minutes' instances: one minute of few says little. */
  #usual(total: number): number {
    const totals = this.#minutes.slice(-USUAL_MINUTES).map((minute) => minute.total);
    return totals.sort((a, b) => a - b)[totals.length >> 1] ?? total;
  }

  #seenIndex(group: string): number {
    let index = Number.NEGATIVE_INFINITY;
    for (const seen of this.#seen.values()) if (seen.group === group) index = Math.max(index, seen.index);
    return index;
  }

  /** A version that nobody had in the last hour with data is a candidate, unless the service itself is new. */
  #begin(group: string, minuteMs: number): void {
    if (this.#index < FIRST_MINUTES || this.#index - this.#seenIndex(group) <= UNSEEN_MINUTES) return;
    if (this.#rollOuts.some(({ to, state }) => to === group && state !== 'ended')) return;
    if (this.#rollOuts.length >= ROLL_OUTS_MAX) return;
    const returns = [...this.#seen.values()].some((seen) => seen.group === group && seen.held);
    this.#rollOuts.push(this.#rollOut(group, this.#main, minuteMs, returns));
  }

  #rollOut(to: string, from: string, beginMs: number, returns: boolean): RollOut {
    return {
      to,
      from,
      beginMs,
      beginIndex: this.#index,
      returns,
      state: 'pending',
      present: 0,
      lastPresentIndex: this.#index,
      lastPresentMs: beginMs,
      halfFor: 0,
      overFor: 0,
      overSinceMs: beginMs,
      hasCounted: false,
    };
  }

  #step(
    rollOut: RollOut,
    minuteMs: number,
    byGroup: ReadonlyMap<string, number>,
    total: number,
    usual: number,
  ): FoundDeployment | undefined {
    if (rollOut.state === 'ended') return undefined;
    const own = byGroup.get(rollOut.to) ?? 0;
    if (own > 0) {
      rollOut.present++;
      rollOut.lastPresentIndex = this.#index;
      rollOut.lastPresentMs = minuteMs;
    }
    // few instances of many: what is seen is no share of anything
    const isWhole = total * 2 >= usual;
    if (isWhole) rollOut.halfFor = own * 2 >= total ? rollOut.halfFor + 1 : 0;
    const older = total - own - this.#newer(rollOut, byGroup);
    const isOver = own > 0 && older * 10 < total - this.#newer(rollOut, byGroup);
    if (isOver && isWhole) {
      if (rollOut.overFor++ === 0) rollOut.overSinceMs = minuteMs;
    } else if (isWhole) rollOut.overFor = 0;
    let told = false;
    if (rollOut.state !== 'counted') {
      if (rollOut.halfFor >= HOLD_MINUTES) {
        rollOut.state = 'counted';
        rollOut.hasCounted = true;
        for (const other of this.#rollOuts) {
          // one roll-out begins where another stops half-way
          if (other !== rollOut && other.state === 'counted') other.overSinceMs = rollOut.beginMs;
        }
        told = true;
      } else if (this.#index - rollOut.lastPresentIndex >= GONE_MINUTES) {
        const wasTold = rollOut.state === 'canary';
        rollOut.state = 'ended';
        return wasTold ? tell(rollOut, 'canary', rollOut.lastPresentMs + MINUTE_MS) : undefined;
      } else if (
        rollOut.state === 'pending' &&
        own > 0 &&
        minuteMs - rollOut.beginMs >= CANARY_AFTER_MS &&
        rollOut.present * 2 >= this.#index - rollOut.beginIndex
      ) {
        rollOut.state = 'canary';
        return tell(rollOut, 'canary', undefined);
      }
    }
    if (rollOut.state !== 'counted') return undefined;
    const kind = rollOut.returns ? 'rollback' : 'deployment';
    if (rollOut.overFor >= HOLD_MINUTES) {
      rollOut.state = 'ended';
      return tell(rollOut, kind, rollOut.overSinceMs);
    }
    const newer = this.#rollOuts.find((other) => other.state === 'counted' && other.beginMs > rollOut.beginMs);
    if (newer !== undefined) {
      rollOut.state = 'ended';
      return tell(rollOut, kind, newer.beginMs);
    }
    return told ? tell(rollOut, kind, undefined) : undefined;
  }

  /** Instances of versions that came after this one. */
  #newer(rollOut: RollOut, byGroup: ReadonlyMap<string, number>): number {
    let newer = 0;
    for (const other of this.#rollOuts) {
      if (other.state !== 'ended' && other.beginMs > rollOut.beginMs && other.to !== rollOut.to) {
        newer += byGroup.get(other.to) ?? 0;
      }
    }
    return newer;
  }

  /** The old version of the last roll-out comes back within the hour: it is not new, and yet most instances have it again. */
  #reversals(minuteMs: number, usual: number): FoundDeployment[] {
    const found: FoundDeployment[] = [];
    const last = this.#rollOuts.findLast(({ hasCounted }) => hasCounted);
    if (last === undefined) return found;
    if (this.#rollOuts.some(({ to, state }) => to === last.from && state !== 'ended')) return found;
    const shareOf = (minute: Minute, group: string) => (minute.byGroup.get(group) ?? 0) / minute.total;
    const isBack = (minute: Minute) =>
      shareOf(minute, last.from) >= 0.5 && shareOf(minute, last.to) < 0.1 && minute.total * 2 >= usual;
    if (!this.#minutes.slice(-REVERSAL_HOLD_MINUTES).every(isBack)) return found;
    const minutes = this.#minutes.filter(({ timeMs }) => timeMs >= last.beginMs);
    if (!minutes.some((minute) => shareOf(minute, last.to) >= 0.5)) return found;
    const rise = riseOf(
      minutes.map((minute) => shareOf(minute, last.from)),
      wholeMinutes(minutes),
    );
    const back = this.#rollOut(last.from, last.to, minutes[rise]?.timeMs ?? minuteMs, true);
    back.present = 1;
    back.overFor = REVERSAL_HOLD_MINUTES;
    back.overSinceMs = this.#minutes[this.#minutes.findLastIndex((minute) => !isBack(minute)) + 1]!.timeMs;
    back.state = 'counted';
    back.hasCounted = true;
    back.halfFor = HOLD_MINUTES;
    if (last.state !== 'ended') {
      last.state = 'ended';
      found.push(tell(last, last.returns ? 'rollback' : 'deployment', back.beginMs));
    }
    this.#rollOuts.push(back);
    found.push(tell(back, 'rollback', undefined));
    return found;
  }

  /** Drops what nothing can come back to. */
  #forget(minuteMs: number): void {
    const counted = this.#rollOuts.findLast(({ hasCounted }) => hasCounted);
    for (let i = this.#rollOuts.length - 1; i >= 0; i--) {
      const rollOut = this.#rollOuts[i]!;
      const isOld = minuteMs - rollOut.beginMs > OPEN_MAX_MS;
      if (isOld || (rollOut.state === 'ended' && rollOut !== counted)) this.#rollOuts.splice(i, 1);
    }
    if (this.#seen.size <= VERSIONS_MAX) return;
    const byAge = [...this.#seen].sort(([, a], [, b]) => a.index - b.index);
    for (const [key] of byAge.slice(0, this.#seen.size - VERSIONS_MAX)) this.#seen.delete(key);
  }
}

/** Minutes in which no instances were away for a while, nor still missing after a gap. */
function wholeMinutes(minutes: readonly Minute[]): boolean[] {
  const most = (from: number, to: number) =>
    Math.max(...minutes.slice(Math.max(0, from), to).map(({ total }) => total));
  return minutes.map(({ total, timeMs }, i) => {
    const around = Math.min(most(i - AWAY_MINUTES, i + 1), most(i, i + AWAY_MINUTES));
    const isAfterGap = i > 1 && timeMs - minutes[i - 2]!.timeMs > 2 * MINUTE_MS;
    return total * 10 >= 8 * around && !isAfterGap;
  });
}

/**
 * The minute from which on a share rises to what it has at last: it was level before and rises evenly after, as nearly as can be.
 * Only minutes in which it is more than in the one before are asked.
 */
function riseOf(shares: readonly number[], isWhole: readonly boolean[]): number {
  const end = shares.length - 1;
  // level after its fall: from the least share of smoothed ones on
  const [level, last] = [startOfLevel(shares), shares[end]!];
  const candidates: { readonly at: number; readonly error: number }[] = [];
  for (let i = level + 1; i <= end; i++) {
    if (shares[i]! <= shares[i - 1]!) continue;
    const before = shares.slice(level, i).sort((a, b) => a - b)[(i - level) >> 1]!;
    let error = 0;
    for (let j = level; j <= end; j++) {
      if (!isWhole[j]) continue;
      const expected = j < i ? before : before + ((last - before) * (j - i + 1)) / (end - i + 1);
      error += (shares[j]! - expected) ** 2;
    }
    candidates.push({ at: i, error });
  }
  const least = Math.min(...candidates.map(({ error }) => error));
  return candidates.find(({ error }) => error === least)?.at ?? end;
}

/** The first minute of those with nearly the least share. */
function startOfLevel(shares: readonly number[]): number {
  const smoothed = shares.map((_, i) => {
    const near = shares.slice(Math.max(0, i - 2), i + 3).sort((a, b) => a - b);
    return near[near.length >> 1]!;
  });
  const least = Math.min(...smoothed);
  return smoothed.findIndex((share) => share <= least + 0.05);
}

function tell(rollOut: RollOut, kind: FoundDeployment['kind'], endMs: number | undefined): FoundDeployment {
  return { kind, from: nameOf(rollOut.from), to: nameOf(rollOut.to), beginMs: rollOut.beginMs, endMs };
}

function nameOf(group: string): string {
  const [version = '', revision = ''] = group.split('\0');
  return versionName({ version, revision });
}

/** A version as people read it. */
export function versionName({ version, revision }: Version): string {
  if (version === '') return revision;
  return revision === '' ? version : `${version} (${revision.slice(0, 12)})`;
}

function largest(byGroup: ReadonlyMap<string, number>): string {
  let [best, most] = ['', 0];
  for (const [group, instances] of byGroup) if (instances > most) [best, most] = [group, instances];
  return best;
}
