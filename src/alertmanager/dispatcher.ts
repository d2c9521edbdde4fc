import { after, type Clock, type Timer, timeout } from '../lib/clock.ts';
import { type Alert, compareAlerts, isResolved } from './alert.ts';
import { type LabelSet, labelsText } from './label-set.ts';
import { groupKeyOf, groupLabelsOf, matchingRoutes, type Route } from './route.ts';

/** Alerts of a group that are to be told now. */
export interface Flush {
  readonly route: Route;
  readonly groupKey: string;
  readonly groupLabels: LabelSet;
  /** Sorted. */
  readonly alerts: readonly FlushedAlert[];
  readonly nowMs: number;
}

export interface FlushedAlert {
  readonly alert: Alert;
  readonly isFiring: boolean;
}

export interface DispatcherOptions {
  readonly route: Route;
  readonly clock: Clock;
  /** 0: any number. */
  readonly groupsMax: () => number;
  /** True when all integrations that wanted to were told. Never rejects. */
  readonly flush: (flush: Flush, signal: AbortSignal) => Promise<boolean>;
  /** An alert found no place, for there are too many groups. */
  readonly onGroupRefused: (alert: Alert) => void;
}

/** A group as it is shown. */
export interface GroupView {
  readonly route: Route;
  readonly labels: LabelSet;
  readonly alerts: readonly Alert[];
}

/** A flush has so long at least. */
const flushTimeoutMsMin = 10_000;
/** Shorter intervals are as long as this. */
const intervalMsMin = 100;
/** Timers of the system hold no longer. */
const timerMsMax = 1 << 30;

/** Groups alerts by the routes that they match, and says when each group is to be told. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #groups = new Map<Route, Map<string, Group>>();
  readonly #stopping = new AbortController();
  #count = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  get groupCount(): number {
    return this.#count;
  }

  put(alert: Alert): void {
    for (const route of matchingRoutes(this.#options.route, alert.labels)) this.#group(route, alert);
  }

  #group(route: Route, alert: Alert): void {
    const labels = groupLabelsOf(route, alert.labels);
    const key = labelsText(labels);
    const groups = this.#groups.get(route) ?? new Map<string, Group>();
    this.#groups.set(route, groups);
    const known = groups.get(key);
    if (known !== undefined) {
      known.put(alert);
      return;
    }
    const { clock, flush, groupsMax, onGroupRefused } = this.#options;
    const limit = groupsMax();
    if (limit > 0 && this.#count >= limit) {
      onGroupRefused(alert);
      return;
    }
    // one that is older than the wait has waited
    const waitMs = alert.startsAtMs + route.groupWaitMs < clock.nowMs() ? 0 : route.groupWaitMs;
    const group = new Group({
      route,
      labels,
      clock,
      flush,
      signal: this.#stopping.signal,
      onEmpty: () => {
        if (groups.get(key) !== group) return;
        groups.delete(key);
        this.#count--;
      },
    });
    groups.set(key, group);
    this.#count++;
    group.put(alert);
    group.start(waitMs);
  }

  groups(): GroupView[] {
    return [...this.#groups.values()].flatMap((groups) => [...groups.values()].map((group) => group.view()));
  }

  /** Flushes under way are cut short. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    const running = [...this.#groups.values()].flatMap((groups) =>
      [...groups.values()].map((group) => group.stopped()),
    );
    await Promise.all(running);
  }
}

interface GroupOptions extends Pick<DispatcherOptions, 'clock' | 'flush'> {
  readonly route: Route;
  readonly labels: LabelSet;
  readonly signal: AbortSignal;
  readonly onEmpty: () => void;
}

class Group {
  readonly #options: GroupOptions;
  readonly #alerts = new Map<string, Alert>();
  readonly #key: string;
  #timer: Timer | undefined;
  /** The next flush came due while one was under way. */
  #isDue = false;
  #flushing: Promise<void> | undefined;
  #isOver = false;

  constructor(options: GroupOptions) {
    this.#options = options;
    this.#key = groupKeyOf(options.route, options.labels);
    options.signal.addEventListener('abort', () => this.#end(), { once: true });
  }

  put(alert: Alert): void {
    this.#alerts.set(alert.fingerprint, alert);
  }

  start(waitMs: number): void {
    if (this.#isOver) return;
    this.#timer?.cancel();
    const partMs = Math.min(waitMs, timerMsMax);
    this.#timer = after(this.#options.clock, partMs, () => {
      if (waitMs > partMs) this.start(waitMs - partMs);
      else this.#due();
    });
  }

  view(): GroupView {
    const { route, labels } = this.#options;
    return { route, labels, alerts: [...this.#alerts.values()] };
  }

  async stopped(): Promise<void> {
    this.#end();
    await this.#flushing;
  }

  #end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  #due(): void {
    if (this.#flushing !== undefined) {
      this.#isDue = true;
      return;
    }
    const nowMs = this.#options.clock.nowMs();
    this.start(Math.max(this.#options.route.groupIntervalMs, intervalMsMin));
    this.#flushing = this.#flush(nowMs).finally(() => {
      this.#flushing = undefined;
      if (!this.#isDue || this.#isOver) return;
      this.#isDue = false;
      this.#due();
    });
  }

  async #flush(nowMs: number): Promise<void> {
    const { route, labels, clock, flush, signal, onEmpty } = this.#options;
    const alerts = [...this.#alerts.values()]
      .sort(compareAlerts)
      .map((alert) => ({ alert, isFiring: !isResolved(alert, nowMs) }));
    const limit = timeout(clock, Math.min(timerMsMax, Math.max(route.groupIntervalMs, flushTimeoutMsMin)));
    try {
      const stop = AbortSignal.any([signal, limit.signal]);
      const isDone = await flush({ route, groupKey: this.#key, groupLabels: labels, alerts, nowMs }, stop);
      if (!isDone) return;
    } finally {
      limit.cancel();
    }
    for (const { alert, isFiring } of alerts) {
      // one that has changed meanwhile is to be told again
      if (!isFiring && this.#alerts.get(alert.fingerprint) === alert) this.#alerts.delete(alert.fingerprint);
    }
    if (this.#alerts.size > 0) return;
    this.#end();
    onEmpty();
  }
}
