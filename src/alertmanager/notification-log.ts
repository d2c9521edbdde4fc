import { createHash } from 'node:crypto';
import type { StateHead, StateRows } from '../chunkstore/documents/state-rows.ts';

/** Which integration of which group. */
export interface LogKey {
  readonly groupKey: string;
  readonly receiver: string;
  readonly integration: string;
  /** Place among the receiver's integrations. */
  readonly index: number;
}

/** The last notification of an integration about a group. */
export interface LogEntry {
  /** Undefined while there was none. */
  readonly sentAtMs: number | undefined;
  /** Fingerprints. */
  readonly firing: ReadonlySet<string>;
  readonly resolved: ReadonlySet<string>;
  readonly memory: ReadonlyMap<string, string>;
  readonly expiresAtMs: number;
  /** Set while one is under way. After a start: nobody knows whether it went out. */
  readonly claimedAtMs: number | undefined;
}

interface Kept {
  readonly key: LogKey;
  readonly entry: LogEntry;
  /** The row as this process knows it; undefined: none. */
  readonly head: StateHead | undefined;
  /** Claimed by the process before, which did not write what became of it. */
  readonly isInDoubt: boolean;
}

export const LOG_KIND = 'alertmanager-log';
const retentionMs = 120 * 3_600_000;
/** Fingerprints of more alerts lie in pages. */
const inlineMax = 2000;
const pageFingerprintsMax = 16_000;
const fingerprintBytes = 8;
/** Tries to write what was sent over what others, or writes whose answers were lost, have put there meanwhile. */
const completeTriesMax = 5;

/**
 * Who was told what. A notification is claimed by compare-and-set before it goes out and written after: of two who
 * want to send it one does, and after a crash at most the one under way is repeated.
 */
export class NotificationLog {
  readonly #tenant: string;
  readonly #state: StateRows;
  readonly #kept = new Map<string, Kept>();

  private constructor(tenant: string, state: StateRows) {
    this.#tenant = tenant;
    this.#state = state;
  }

  static async load(tenant: string, state: StateRows, signal: AbortSignal): Promise<NotificationLog> {
    const log = new NotificationLog(tenant, state);
    for await (const head of state.list(tenant, LOG_KIND, signal)) {
      if (head.pages.length === 0) log.#keep(head.name, decode(head, []));
      else await log.#reload(head.name, signal);
    }
    for (const [name, kept] of log.#kept) {
      log.#kept.set(name, { ...kept, isInDoubt: kept.entry.claimedAtMs !== undefined });
    }
    return log;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** The last notification of each integration about each group. */
  *entries(): Generator<{ readonly key: LogKey; readonly entry: LogEntry }> {
    for (const { key, entry } of this.#kept.values()) yield { key, entry };
  }

  of(key: LogKey): LogEntry | undefined {
    return this.#kept.get(nameOf(key))?.entry;
  }

  /** Whether the process before ended while it sent, so that nobody knows whether that went out. */
  isInDoubt(key: LogKey): boolean {
    const kept = this.#kept.get(nameOf(key));
    return kept?.isInDoubt === true && kept.entry.claimedAtMs !== undefined;
  }

  /**
   * Claims the next notification. False: another one was faster; `of` then tells what that one did.
   * @throws where the store does not answer
   */
  async claim(key: LogKey, nowMs: number, signal: AbortSignal): Promise<boolean> {
    const old = this.of(key);
    const none = { sentAtMs: undefined, firing: new Set<string>(), resolved: new Set<string>(), memory: new Map() };
    return this.#put(key, { ...(old ?? none), claimedAtMs: nowMs, expiresAtMs: nowMs + retentionMs }, signal);
  }

  /** It did not go out: the next one is no repetition. Nothing is written, for the next claim replaces this one. */
  release(key: LogKey): void {
    const name = nameOf(key);
    const kept = this.#kept.get(name);
    if (kept !== undefined) this.#kept.set(name, { ...kept, entry: { ...kept.entry, claimedAtMs: undefined } });
  }

  /** Writes what was sent. What cannot be written is known here at least. */
  async complete(
    key: LogKey,
    sent: Pick<LogEntry, 'firing' | 'resolved' | 'memory'> & {
      readonly nowMs: number;
      readonly repeatIntervalMs: number;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { nowMs, repeatIntervalMs, ...rest } = sent;
    const expiresAtMs = nowMs + Math.min(retentionMs, 2 * repeatIntervalMs);
    const entry = { ...rest, sentAtMs: nowMs, expiresAtMs, claimedAtMs: undefined };
    const name = nameOf(key);
    for (let tries = 1; ; tries++) {
      this.#kept.set(name, { key, entry, head: this.#kept.get(name)?.head, isInDoubt: false });
      if (tries > completeTriesMax) throw new Error(`others wrote ${completeTriesMax} times meanwhile`);
      if (await this.#put(key, entry, signal)) return;
      // a claim whose answer was lost is replaced; one who sent later has written more than this
      const there = this.of(key);
      if (there?.claimedAtMs === undefined && (there?.sentAtMs ?? 0) >= nowMs) return;
    }
  }

  /** Removes what has expired. */
  async sweep(nowMs: number, signal: AbortSignal): Promise<void> {
    for (const [name, { entry }] of this.#kept) {
      if (entry.expiresAtMs > nowMs) continue;
      this.#kept.delete(name);
      await this.#state.remove({ tenant: this.#tenant, kind: LOG_KIND, name }, signal);
    }
  }

  async #put(key: LogKey, entry: LogEntry, signal: AbortSignal): Promise<boolean> {
    const name = nameOf(key);
    const at = { tenant: this.#tenant, kind: LOG_KIND, name };
    const before = this.#kept.get(name);
    const { body, pages } = encode(key, entry);
    const named = new Map(pages.map((page) => [this.#state.newPageId(), page]));
    if (named.size > 0) await this.#state.writePages(at, named, signal);
    const head = await this.#state.compareAndSet(at, before?.head, { body, pages: [...named.keys()] }, signal);
    if (head === undefined) {
      if (named.size > 0) await this.#state.removePages(at, [...named.keys()], signal);
      await this.#reload(name, signal);
      return false;
    }
    this.#kept.set(name, { key, entry, head, isInDoubt: false });
    const old = before?.head?.pages ?? [];
    if (old.length > 0) await this.#state.removePages(at, old, signal);
    return true;
  }

  async #reload(name: string, signal: AbortSignal): Promise<void> {
    const found = await this.#state.read({ tenant: this.#tenant, kind: LOG_KIND, name }, signal);
    if (found === undefined) this.#kept.delete(name);
    else this.#keep(name, decode(found.head, found.pages));
  }

  #keep(name: string, { key, entry, head }: Omit<Kept, 'isInDoubt'>): void {
    const isInDoubt = entry.claimedAtMs !== undefined && this.#kept.get(name)?.isInDoubt === true;
    this.#kept.set(name, { key, entry, head, isInDoubt });
  }
}

function nameOf({ groupKey, receiver, integration, index }: LogKey): string {
  return createHash('sha256')
    .update(JSON.stringify([groupKey, receiver, integration, index]))
    .digest('hex');
}

interface Body extends LogKey {
  readonly sentAtMs: number | undefined;
  readonly expiresAtMs: number;
  readonly claimedAtMs: number | undefined;
  readonly memory: readonly (readonly [string, string])[];
  readonly firingCount: number;
  readonly resolvedCount: number;
  /** Absent: in pages. */
  readonly fingerprints?: string;
}

function encode(key: LogKey, entry: LogEntry): { readonly body: Uint8Array; readonly pages: readonly Uint8Array[] } {
  const all = Buffer.from([...entry.firing, ...entry.resolved].join(''), 'hex');
  const isInline = all.length <= inlineMax * fingerprintBytes;
  const pages: Uint8Array[] = [];
  const pageBytes = pageFingerprintsMax * fingerprintBytes;
  if (!isInline) for (let at = 0; at < all.length; at += pageBytes) pages.push(all.subarray(at, at + pageBytes));
  const body: Body = {
    ...key,
    sentAtMs: entry.sentAtMs,
    expiresAtMs: entry.expiresAtMs,
    claimedAtMs: entry.claimedAtMs,
    memory: [...entry.memory],
    firingCount: entry.firing.size,
    resolvedCount: entry.resolved.size,
    ...(isInline ? { fingerprints: all.toString('base64') } : {}),
  };
  return { body: Buffer.from(JSON.stringify(body)), pages };
}

function decode(head: StateHead, pages: readonly Uint8Array[]): Omit<Kept, 'isInDoubt'> {
  const body = JSON.parse(Buffer.from(head.body).toString()) as Body;
  const all = body.fingerprints === undefined ? Buffer.concat(pages) : Buffer.from(body.fingerprints, 'base64');
  const fingerprints = Array.from({ length: all.length / fingerprintBytes }, (_, i) =>
    all.subarray(i * fingerprintBytes, (i + 1) * fingerprintBytes).toString('hex'),
  );
  const { groupKey, receiver, integration, index } = body;
  const entry = {
    sentAtMs: body.sentAtMs,
    firing: new Set(fingerprints.slice(0, body.firingCount)),
    resolved: new Set(fingerprints.slice(body.firingCount)),
    memory: new Map(body.memory),
    expiresAtMs: body.expiresAtMs,
    claimedAtMs: body.claimedAtMs,
  };
  return { key: { groupKey, receiver, integration, index }, entry, head };
}
