import type { StateHead, StateRows } from '../chunkstore/documents/state-rows.ts';
import type { Clock } from '../lib/clock.ts';
import { alertmanagerErrors } from '../model/errors-alertmanager.ts';
import { type Alert, type GivenAlert, isResolved, joined } from './alert.ts';
import type { AlertmanagerLimits } from './limits.ts';

export const ALERTS_KIND = 'alertmanager-alerts';
const NAME = 'alerts';
/** Resolved ones are known so long: until all groups have told them. */
const keptResolvedMs = 30 * 60_000;
/** An end that only moves is written this often. */
const endWrittenMs = 5 * 60_000;
/** A page takes no more alerts from here on. */
const pageFullBytes = 64 << 10;

interface Page {
  /** Undefined: not written yet. */
  id: string | undefined;
  readonly alerts: Map<string, Alert>;
  bytes: number;
}

export interface AlertBookOptions {
  readonly tenant: string;
  readonly state: StateRows;
  readonly limits: () => AlertmanagerLimits;
  readonly clock: Pick<Clock, 'turn'>;
  /** The member that holds the tenant, where several share the store: it stands in the head. */
  readonly holder?: string | undefined;
}

/** Tries to take a head over that its holder writes meanwhile. */
const takeTriesMax = 5;

/** Alerts of a tenant. Those that came from outside are written before they are confirmed. */
export class AlertBook {
  readonly #tenant: string;
  readonly #state: StateRows;
  readonly #limits: () => AlertmanagerLimits;
  readonly #clock: Pick<Clock, 'turn'>;
  readonly #holder: string | undefined;
  readonly #alerts = new Map<string, Alert>();
  readonly #pages: Page[] = [];
  readonly #pageOf = new Map<string, Page>();
  readonly #dirty = new Set<Page>();
  #head: StateHead | undefined;
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  private constructor({ tenant, state, limits, clock, holder }: AlertBookOptions) {
    this.#tenant = tenant;
    this.#state = state;
    this.#limits = limits;
    this.#clock = clock;
    this.#holder = holder;
  }

  /** The member that holds a tenant; undefined: none does, or did. */
  static async holderOf(tenant: string, state: StateRows, signal: AbortSignal): Promise<string | undefined> {
    const head = await state.get({ tenant, kind: ALERTS_KIND, name: NAME }, signal);
    return head === undefined || head.body.length === 0 ? undefined : Buffer.from(head.body).toString();
  }

  /**
   * Alerts that fired when they were last written still do, unless their sender was away for long.
   * @throws tenantElsewhere where another member takes the tenant at the same time
   */
  static async load(options: AlertBookOptions, nowMs: number, signal: AbortSignal): Promise<AlertBook> {
    const book = new AlertBook(options);
    const found = await book.#taken(signal);
    book.#head = found?.head;
    found?.pages.forEach((content, i) => {
      const page: Page = { id: found.head.pages[i]!, alerts: new Map(), bytes: content.length };
      book.#pages.push(page);
      for (const alert of decodePage(content)) {
        page.alerts.set(alert.fingerprint, alert);
        book.#pageOf.set(alert.fingerprint, page);
        const fired = !isResolved(alert, alert.updatedAtMs);
        const mayHaveMoved = fired && alert.endsAtMs + endWrittenMs > nowMs;
        const endsAtMs = mayHaveMoved ? Math.max(alert.endsAtMs, nowMs + endWrittenMs) : alert.endsAtMs;
        book.#keep({ ...alert, endsAtMs });
      }
    });
    return book;
  }

  get size(): number {
    return this.#alerts.size;
  }

  all(): IterableIterator<Alert> {
    return this.#alerts.values();
  }

  /** The limit that an alert exceeds by itself: asked before anything else is done with it. */
  refusal(given: GivenAlert): string | undefined {
    const { alertLabelsMax, alertBytesMax } = this.#limits();
    const count = given.labels.size + given.annotations.size;
    if (alertLabelsMax > 0 && count > alertLabelsMax) {
      return `alert of ${count} labels and annotations: limit of ${alertLabelsMax} exceeded (alertmanager_max_alert_labels)`;
    }
    const bytes = bytesOf(given);
    if (alertBytesMax === 0 || bytes <= alertBytesMax) return undefined;
    return `alert of ${bytes} bytes: limit of ${alertBytesMax} exceeded (alertmanager_max_alert_size_bytes)`;
  }

  /**
   * Joins an alert with what is known of it. None that `refusal` names.
   * @returns it as it is kept, or the limit that refuses it
   */
  put(alert: Alert, isFromOutside: boolean, nowMs: number): Alert | string {
    const limits = this.#limits();
    const old = this.#alerts.get(alert.fingerprint);
    const bytes = bytesOf(alert);
    const problem =
      old === undefined && limits.alertsMax > 0 && this.#alerts.size >= limits.alertsMax
        ? `too many alerts, limit: ${limits.alertsMax} (alertmanager_max_alerts_count)`
        : limits.alertsBytesMax > 0 && this.#bytes + bytes - (old ? bytesOf(old) : 0) > limits.alertsBytesMax
          ? `alerts too big, total size limit: ${limits.alertsBytesMax} bytes (alertmanager_max_alerts_size_bytes)`
          : undefined;
    if (problem !== undefined) return problem;
    const next = joined(old, alert, nowMs);
    this.#keep(next);
    if (isFromOutside || this.#pageOf.has(next.fingerprint)) this.#note(next, nowMs);
    return next;
  }

  /** Resolves when all that was put before is written. */
  async written(signal: AbortSignal): Promise<void> {
    if (this.#dirty.size === 0) return this.#writing;
    // who comes while one is written goes with the next
    this.#next ??= this.#writing
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        this.#writing = this.#write(signal);
        return this.#writing;
      });
    return this.#next;
  }

  /** Forgets what has long been resolved. */
  sweep(nowMs: number): void {
    for (const alert of this.#alerts.values()) {
      if (alert.endsAtMs + keptResolvedMs > nowMs) continue;
      this.#alerts.delete(alert.fingerprint);
      this.#bytes -= bytesOf(alert);
      const page = this.#pageOf.get(alert.fingerprint);
      if (page === undefined) continue;
      page.alerts.delete(alert.fingerprint);
      this.#pageOf.delete(alert.fingerprint);
      this.#dirty.add(page);
    }
  }

  /** Whether no other member has taken the tenant. @throws tenantElsewhere */
  async checkHeld(signal: AbortSignal): Promise<void> {
    if (this.#holder === undefined) return;
    const head = await this.#state.get(this.#key, signal);
    if (Buffer.from(head?.body ?? []).toString() !== this.#holder) throw this.#elsewhere();
  }

  /** The kept alerts. Where several share the store the holder stands in the head: writes of the one before fail from then on. */
  async #taken(signal: AbortSignal): ReturnType<StateRows['read']> {
    for (let tries = 1; tries <= takeTriesMax; tries++) {
      const found = await this.#state.read(this.#key, signal);
      if (this.#holder === undefined) return found;
      const next = { pages: found?.head.pages ?? [], body: Buffer.from(this.#holder) };
      const head = await this.#state.compareAndSet(this.#key, found?.head, next, signal);
      if (head !== undefined) return { head, pages: found?.pages ?? [] };
    }
    throw this.#elsewhere();
  }

  #elsewhere(): Error {
    return alertmanagerErrors.tenantElsewhere({ tenant: this.#tenant });
  }

  get #key() {
    return { tenant: this.#tenant, kind: ALERTS_KIND, name: NAME };
  }

  #keep(alert: Alert): void {
    const old = this.#alerts.get(alert.fingerprint);
    this.#bytes += bytesOf(alert) - (old === undefined ? 0 : bytesOf(old));
    this.#alerts.set(alert.fingerprint, alert);
  }

  #note(alert: Alert, nowMs: number): void {
    const known = this.#pageOf.get(alert.fingerprint);
    const before = known?.alerts.get(alert.fingerprint);
    if (before !== undefined && !isWorthWriting(before, alert, nowMs)) return;
    const page = known ?? this.#pageWithRoom(bytesOf(alert));
    page.alerts.set(alert.fingerprint, alert);
    this.#pageOf.set(alert.fingerprint, page);
    this.#dirty.add(page);
  }

  #pageWithRoom(bytes: number): Page {
    const last = this.#pages.at(-1);
    const page = last !== undefined && last.bytes + bytes < pageFullBytes ? last : undefined;
    const made = page ?? { id: undefined, alerts: new Map(), bytes: 0 };
    if (page === undefined) this.#pages.push(made);
    made.bytes += bytes;
    return made;
  }

  /** Pages under new ids, the head, then the old ones go. */
  async #write(signal: AbortSignal): Promise<void> {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    const ids = new Map<Page, string>();
    const contents = new Map<string, Uint8Array>();
    for (const page of dirty) {
      if (page.alerts.size === 0) continue;
      const id = this.#state.newPageId();
      const content = encodePage(page.alerts.values());
      page.bytes = content.length;
      ids.set(page, id);
      contents.set(id, content);
      // one that changes meanwhile is written again
      await this.#clock.turn();
    }
    const left = this.#pages.filter((page) => page.alerts.size > 0);
    try {
      await this.#state.writePages(this.#key, contents, signal);
      const pages = left.map((page) => ids.get(page) ?? page.id).filter((id) => id !== undefined);
      const body = Buffer.from(this.#holder ?? '');
      const head = await this.#state.compareAndSet(this.#key, this.#head, { pages, body }, signal);
      if (head === undefined) {
        if (this.#holder !== undefined) throw this.#elsewhere();
        // another process has written: this one's view replaces it
        this.#head = await this.#state.get(this.#key, signal);
        throw new Error('alerts were written by another process');
      }
      this.#head = head;
    } catch (thrown) {
      for (const page of dirty) this.#dirty.add(page);
      await this.#state.removePages(this.#key, [...contents.keys()], signal).catch(() => {});
      throw thrown;
    }
    const old = dirty.map(({ id }) => id).filter((id) => id !== undefined);
    for (const page of dirty) page.id = ids.get(page);
    this.#pages.splice(
      0,
      this.#pages.length,
      ...this.#pages.filter((page) => page.alerts.size > 0 || this.#dirty.has(page)),
    );
    // what stays behind names nobody
    await this.#state.removePages(this.#key, old, signal).catch(() => {});
  }
}

function isWorthWriting(before: Alert, now: Alert, nowMs: number): boolean {
  return (
    isResolved(before, before.updatedAtMs) !== isResolved(now, nowMs) ||
    before.startsAtMs !== now.startsAtMs ||
    (isResolved(now, nowMs) && before.endsAtMs !== now.endsAtMs) ||
    before.generatorUrl !== now.generatorUrl ||
    before.isTimeout !== now.isTimeout ||
    now.endsAtMs - before.endsAtMs >= endWrittenMs ||
    JSON.stringify([...before.annotations]) !== JSON.stringify([...now.annotations])
  );
}

/** UTF-16 units, as a measure of bytes. */
function bytesOf({ labels, annotations, generatorUrl }: GivenAlert): number {
  let bytes = 100 + generatorUrl.length;
  for (const map of [labels, annotations]) for (const [name, value] of map) bytes += name.length + value.length + 8;
  return bytes;
}

function encodePage(alerts: Iterable<Alert>): Uint8Array {
  const rows = [...alerts].map(({ labels, annotations, ...rest }) => ({
    ...rest,
    labels: [...labels],
    annotations: [...annotations],
  }));
  return Buffer.from(JSON.stringify(rows));
}

type Pairs = readonly (readonly [string, string])[];

function decodePage(content: Uint8Array): Alert[] {
  const rows = JSON.parse(Buffer.from(content).toString()) as (Omit<Alert, 'labels' | 'annotations'> & {
    readonly labels: Pairs;
    readonly annotations: Pairs;
  })[];
  return rows.map((row) => ({ ...row, labels: new Map(row.labels), annotations: new Map(row.annotations) }));
}
