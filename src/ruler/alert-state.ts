import type { StateHead, StateKey, StateRows } from '../chunkstore/documents/state-rows.ts';
import { getOrMake } from '../lib/map.ts';
import { Labels } from '../model/labels.ts';
import type { Alert, AlertState } from './alert.ts';
import { isSameState, type RuleRun, ruleIdentity } from './group-run.ts';

/** The kind of state rows that groups have. */
export const ALERT_STATE = 'ruler';
/** State of up to so many bytes stands in the head, without pages. */
const INLINE_BYTES_MAX = 48 << 10;
/** Bytes of entries that a page is filled to. */
const PAGE_FILL_BYTES = 64 << 10;
/** An alert of more is kept without its annotations. */
const ENTRY_BYTES_MAX = 32 << 10;

/** Another ruler has the group now. */
export class GroupLostError extends Error {
  override readonly name = 'GroupLostError';
}

/** Alerts of a rule as they were kept, and which rule that was. */
export interface KeptRule {
  readonly identity: string;
  readonly alerts: readonly Alert[];
}

interface HeadBody {
  readonly version: 1;
  readonly owner: string;
  readonly epoch: number;
  /** The slot of the evaluation that it was written for, Unix ms. */
  readonly slotMs: number;
  /** Identities of the group's rules, which entries name by number. */
  readonly rules: readonly string[];
  /** Entries that stand in no page. */
  readonly entries: readonly string[];
}

/** An alert as its rule's number and JSON, and the page that has it. */
interface Entry {
  readonly alert: Alert;
  readonly text: string;
  page: Page | undefined;
}

interface Page {
  /** Undefined: it has not been written as it is. */
  id: string | undefined;
  readonly entries: Set<Entry>;
  bytes: number;
}

/**
 * The state of a group's alerts in the store: a head that changes by compare-and-set once for an evaluation that changed a
 * state or a time, and pages for what is too much for it. Layout: docs/formats/ruler-state.md.
 */
export class AlertStateRow {
  readonly #rows: StateRows;
  readonly #key: StateKey;
  readonly #owner: string;
  #epoch = 1;
  #head: StateHead | undefined;
  /** By the number of the rule and the key of the labels. */
  #entries = new Map<string, Entry>();
  #pages: Page[] = [];
  #identities: readonly string[] = [];
  /** Compare-and-sets that were made. */
  writes = 0;

  constructor(rows: StateRows, key: StateKey, owner: string) {
    this.#rows = rows;
    this.#key = key;
    this.#owner = owner;
  }

  /**
   * Takes the group over. @param fence writes the new owner at once, so that the one before is shut out
   * @returns what was kept; undefined: nothing ever was
   * @throws GroupLostError where another one took it in this moment
   */
  async take(fence: boolean): Promise<readonly KeptRule[] | undefined> {
    const found = await this.#rows.read(this.#key);
    this.#head = found?.head;
    const body = found === undefined ? undefined : bodyOf(found.head);
    this.#epoch = (body?.epoch ?? 0) + 1;
    if (fence) {
      const next = body ?? { version: 1, slotMs: 0, rules: [], entries: [] };
      const bytes = Buffer.from(JSON.stringify({ ...next, owner: this.#owner, epoch: this.#epoch }));
      await this.#set(bytes, found?.head.pages ?? []);
    }
    return body === undefined ? undefined : keptRules(body, found!.pages);
  }

  /** @throws GroupLostError, and what the store throws */
  async keep(rules: readonly RuleRun[], slotMs: number): Promise<void> {
    this.#update(rules);
    const total = [...this.#entries.values()].reduce((sum, { text }) => sum + text.length + 1, 0);
    const isSmall = total <= INLINE_BYTES_MAX;
    const pages = isSmall ? [] : this.#packed();
    const written = new Map<string, Uint8Array>();
    const ids = pages.map((page) => {
      if (page.id === undefined) {
        page.id = this.#rows.newPageId();
        written.set(page.id, Buffer.from([...page.entries].map(({ text }) => text).join('\n')));
      }
      return page.id;
    });
    const body: HeadBody = {
      version: 1,
      owner: this.#owner,
      epoch: this.#epoch,
      slotMs,
      rules: this.#identities,
      entries: isSmall ? [...this.#entries.values()].map(({ text }) => text) : [],
    };
    try {
      await this.#rows.writePages(this.#key, written);
      const before = this.#head?.pages ?? [];
      await this.#set(Buffer.from(JSON.stringify(body)), ids);
      const named = new Set(ids);
      const gone = before.filter((id) => !named.has(id));
      // what stays behind is found by whoever takes the group over
      if (gone.length > 0) await this.#rows.removePages(this.#key, gone).catch(() => {});
    } catch (thrown) {
      for (const page of this.#pages) if (page.id !== undefined && written.has(page.id)) page.id = undefined;
      throw thrown;
    }
    this.#pages = pages;
  }

  /** Removes what is kept of a group that is gone. */
  async remove(): Promise<void> {
    await this.#rows.remove(this.#key);
  }

  async #set(body: Uint8Array, pages: readonly string[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      this.writes++;
      const head = await this.#rows.compareAndSet(this.#key, this.#head, { pages, body });
      if (head !== undefined) {
        this.#head = head;
        return;
      }
      const found = await this.#rows.get(this.#key);
      const owner = found === undefined ? undefined : bodyOf(found);
      // a write of our own whose answer was lost
      const isOurs = owner?.owner === this.#owner && owner.epoch === this.#epoch;
      if (!isOurs || tries > 0) {
        throw new GroupLostError(`group ${JSON.stringify(this.#key.name)} was taken over by another ruler`);
      }
      this.#head = found;
    }
  }

  /** Brings the entries up to what the rules have now; pages of those that changed are to be written. */
  #update(rules: readonly RuleRun[]): void {
    const identities = rules.map(({ rule }) => ruleIdentity(rule));
    const sameRules =
      identities.length === this.#identities.length && identities.every((each, i) => each === this.#identities[i]);
    if (!sameRules) {
      // numbers mean other rules now
      this.#identities = identities;
      this.#entries = new Map();
      this.#pages = [];
    }
    const left = new Set(this.#entries.keys());
    for (const [number, { alerts }] of rules.entries()) {
      for (const [labelsKey, alert] of alerts) {
        const key = `${number} ${labelsKey}`;
        left.delete(key);
        const before = this.#entries.get(key);
        if (before !== undefined && (before.alert === alert || isSameState(before.alert, alert))) continue;
        const entry: Entry = { alert, text: entryText(number, alert), page: undefined };
        if (before !== undefined) this.#leave(before);
        this.#entries.set(key, entry);
        const page = before?.page;
        if (page !== undefined && page.bytes + entry.text.length < PAGE_FILL_BYTES) enter(page, entry);
      }
    }
    for (const key of left) {
      this.#leave(this.#entries.get(key)!);
      this.#entries.delete(key);
    }
  }

  #leave(entry: Entry): void {
    const { page, text } = entry;
    if (page === undefined) return;
    page.entries.delete(entry);
    page.bytes -= text.length + 1;
    page.id = undefined;
  }

  /** The pages, with every entry in one. */
  #packed(): Page[] {
    const pages = this.#pages.filter(({ entries }) => entries.size > 0);
    let last = pages.findLast(({ bytes }) => bytes < PAGE_FILL_BYTES / 2);
    for (const entry of this.#entries.values()) {
      if (entry.page !== undefined && pages.includes(entry.page)) continue;
      if (last === undefined || last.bytes + entry.text.length >= PAGE_FILL_BYTES) {
        last = { id: undefined, entries: new Set(), bytes: 0 };
        pages.push(last);
      }
      enter(last, entry);
    }
    return pages;
  }
}

function enter(page: Page, entry: Entry): void {
  page.entries.add(entry);
  page.bytes += entry.text.length + 1;
  page.id = undefined;
  entry.page = page;
}

type EntryParts = [
  rule: number,
  labels: readonly string[],
  annotations: readonly string[],
  value: string,
  state: AlertState,
  ...times: (number | null)[],
];

/** On one line: JSON has no line breaks of its own. Bytes beyond ASCII are escaped, so that characters are bytes. */
function entryText(rule: number, alert: Alert): string {
  const text = (annotations: readonly string[]) => {
    const { labels, value, state, activeAtMs, firedAtMs, keepFiringSinceMs, resolvedAtMs } = alert;
    const times = [activeAtMs, firedAtMs ?? null, keepFiringSinceMs ?? null, resolvedAtMs ?? null];
    const parts: EntryParts = [rule, labels.pairs, annotations, String(value), state, ...times];
    return JSON.stringify(parts).replace(
      /[\u007f-\uffff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  };
  const whole = text(alert.annotations);
  return whole.length <= ENTRY_BYTES_MAX ? whole : text([]);
}

function entryOf(text: string): [rule: number, alert: Alert] {
  const [rule, labels, annotations, value, state, activeAtMs, firedAtMs, keepFiringSinceMs, resolvedAtMs] = JSON.parse(
    text,
  ) as EntryParts;
  const alert: Alert = {
    labels: Labels.fromSortedPairs(labels),
    annotations,
    value: Number(value),
    state,
    activeAtMs: activeAtMs!,
    firedAtMs: firedAtMs ?? undefined,
    keepFiringSinceMs: keepFiringSinceMs ?? undefined,
    resolvedAtMs: resolvedAtMs ?? undefined,
  };
  return [rule, alert];
}

function bodyOf({ body }: StateHead): HeadBody {
  return JSON.parse(Buffer.from(body).toString()) as HeadBody;
}

/** The state of a group as whoever has it kept it last; undefined: nothing ever was. */
export async function readState(
  rows: StateRows,
  key: StateKey,
  signal: AbortSignal,
): Promise<{ readonly slotMs: number; readonly kept: readonly KeptRule[] } | undefined> {
  const found = await rows.read(key, signal);
  if (found === undefined) return undefined;
  const body = bodyOf(found.head);
  return { slotMs: body.slotMs, kept: keptRules(body, found.pages) };
}

function keptRules(body: HeadBody, pages: readonly Uint8Array[]): KeptRule[] {
  const kept = body.rules.map((identity) => ({ identity, alerts: [] as Alert[] }));
  for (const text of [...body.entries, ...pages.flatMap((page) => Buffer.from(page).toString().split('\n'))]) {
    const [rule, alert] = entryOf(text);
    kept[rule]?.alerts.push(alert);
  }
  return kept;
}

/** Gives rules the alerts that were kept of them: identity by identity, first to first. */
export function restoreKept(rules: readonly RuleRun[], kept: readonly KeptRule[]): void {
  const left = new Map<string, KeptRule[]>();
  for (const rule of kept) getOrMake(left, rule.identity, () => [] as KeptRule[]).push(rule);
  for (const run of rules) {
    if (run.rule.kind !== 'alert') continue;
    const found = left.get(ruleIdentity(run.rule))?.shift();
    if (found !== undefined) run.alerts = new Map(found.alerts.map((alert) => [alert.labels.key, alert]));
  }
}
