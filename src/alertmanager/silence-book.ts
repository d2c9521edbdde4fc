import type { StateHead, StateRows } from '../chunkstore/documents/state-rows.ts';
import type { AlertmanagerLimits } from './limits.ts';
import type { MatcherOp } from './matcher.ts';
import { Matcher } from './matcher.ts';
import { canUpdate, checkSilence, expiredSilence, type Silence, SilenceError, silenceState } from './silence.ts';

/** No silence has that id. */
export class SilenceNotFoundError extends Error {}

export const SILENCES_KIND = 'alertmanager-silence';
/** Expired ones are known so long. */
const retentionMs = 120 * 3_600_000;

interface Kept {
  readonly silence: Silence;
  readonly head: StateHead;
}

/** Silences of a tenant, each a row of its own. */
export class SilenceBook {
  readonly #tenant: string;
  readonly #state: StateRows;
  readonly #limits: () => AlertmanagerLimits;
  readonly #newId: () => string;
  readonly #kept = new Map<string, Kept>();

  private constructor(options: SilenceBookOptions) {
    this.#tenant = options.tenant;
    this.#state = options.state;
    this.#limits = options.limits;
    this.#newId = options.newId;
  }

  static async load(options: SilenceBookOptions, signal: AbortSignal): Promise<SilenceBook> {
    const book = new SilenceBook(options);
    for await (const head of options.state.list(options.tenant, SILENCES_KIND, signal)) {
      const silence = decode(head.body);
      book.#kept.set(silence.id, { silence, head });
    }
    return book;
  }

  *all(): Generator<Silence> {
    for (const { silence } of this.#kept.values()) yield silence;
  }

  get(id: string): Silence | undefined {
    return this.#kept.get(id)?.silence;
  }

  /**
   * Makes a silence, or changes the one of its id; where that must not be changed in place it expires, and a new one begins.
   * @param given its id is empty for a new one
   * @returns the id
   * @throws SilenceError, SilenceNotFoundError
   */
  async set(given: Omit<Silence, 'updatedAtMs'>, nowMs: number, signal: AbortSignal): Promise<string> {
    checkSilence({ ...given, updatedAtMs: nowMs });
    const old = given.id === '' ? undefined : this.#kept.get(given.id);
    if (given.id !== '' && old === undefined) throw new SilenceNotFoundError('silence not found');
    if (old !== undefined && canUpdate(old.silence, { ...given, updatedAtMs: nowMs }, nowMs)) {
      await this.#write({ ...given, updatedAtMs: nowMs }, signal);
      return given.id;
    }
    const { silencesMax } = this.#limits();
    if (silencesMax > 0 && this.#kept.size + 1 > silencesMax) {
      const count = this.#kept.size;
      throw new SilenceError(
        `exceeded maximum number of silences: ${count} (limit: ${silencesMax}, alertmanager_max_silences_count)`,
      );
    }
    const silence = { ...given, id: this.#newId(), startsAtMs: Math.max(given.startsAtMs, nowMs), updatedAtMs: nowMs };
    this.#checkSize(silence);
    if (old !== undefined && silenceState(old.silence, nowMs) !== 'expired') await this.expire(given.id, nowMs, signal);
    await this.#write(silence, signal);
    return silence.id;
  }

  /** @throws SilenceNotFoundError */
  async expire(id: string, nowMs: number, signal: AbortSignal): Promise<void> {
    const kept = this.#kept.get(id);
    if (kept === undefined) throw new SilenceNotFoundError('silence not found');
    const expired = expiredSilence(kept.silence, nowMs);
    if (expired !== undefined) await this.#write(expired, signal);
  }

  /** Removes those that have long expired. */
  async sweep(nowMs: number, signal: AbortSignal): Promise<void> {
    for (const [id, { silence }] of this.#kept) {
      if (silence.endsAtMs + retentionMs > nowMs) continue;
      this.#kept.delete(id);
      await this.#state.remove({ tenant: this.#tenant, kind: SILENCES_KIND, name: id }, signal);
    }
  }

  /** Refuses a silence by texts that it has at least: asked before patterns are compiled. @throws SilenceError */
  checkTexts(texts: readonly string[]): void {
    this.#checkBytes(texts.reduce((sum, text) => sum + text.length, 0));
  }

  #checkSize(silence: Silence): void {
    this.#checkBytes(encode(silence).length);
  }

  #checkBytes(bytes: number): void {
    const { silenceBytesMax } = this.#limits();
    if (silenceBytesMax > 0 && bytes > silenceBytesMax) {
      throw new SilenceError(
        `silence exceeded maximum size: ${bytes} bytes (limit: ${silenceBytesMax} bytes, alertmanager_max_silences_size_bytes)`,
      );
    }
  }

  async #write(silence: Silence, signal: AbortSignal): Promise<void> {
    this.#checkSize(silence);
    const key = { tenant: this.#tenant, kind: SILENCES_KIND, name: silence.id };
    const next = { pages: [], body: encode(silence) };
    let head = await this.#state.compareAndSet(key, this.#kept.get(silence.id)?.head, next, signal);
    if (head === undefined) {
      // the last one counts, as where silences are gossiped
      head = await this.#state.compareAndSet(key, await this.#state.get(key, signal), next, signal);
    }
    if (head === undefined) throw new SilenceError('the silence was changed by another process meanwhile');
    this.#kept.set(silence.id, { silence, head });
  }
}

interface SilenceBookOptions {
  readonly tenant: string;
  readonly state: StateRows;
  readonly limits: () => AlertmanagerLimits;
  readonly newId: () => string;
}

function encode({ matchers, annotations, ...rest }: Silence): Uint8Array {
  const parts = matchers.map(({ name, op, value }) => [name, op, value]);
  return Buffer.from(JSON.stringify({ ...rest, matchers: parts, annotations: [...annotations] }));
}

function decode(body: Uint8Array): Silence {
  const given = JSON.parse(Buffer.from(body).toString()) as Omit<Silence, 'matchers' | 'annotations'> & {
    readonly matchers: readonly [string, MatcherOp, string][];
    readonly annotations: readonly [string, string][];
  };
  const matchers = given.matchers.map(([name, op, value]) => Matcher.of(name, op, value));
  return { ...given, matchers, annotations: new Map(given.annotations) };
}
