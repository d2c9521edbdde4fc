import type { RingBook } from './book.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { MemberFile } from './member-file.ts';
import type { MemberRow } from './row.ts';

/**
 * A member's doubt after the key-value store lost what was written to it, when a newer version may have been lost as well: none is
 * made before all members have shown that they know no newer one (docs/decisions/ring.md).
 */
export class Settling {
  readonly #book: RingBook;
  readonly #file: MemberFile;
  readonly #heartbeats: Heartbeats;
  readonly #ownId: string;
  /** Members that have shown no heartbeat since; undefined: the store lost nothing. */
  #missing: Set<string> | undefined;
  /** Losses so far: whoever made sure of something looks whether there was another since. */
  losses = 0;
  /** Whether the store may have older rows of those that left than are known here. */
  hasRowsToPutBack = false;

  constructor(book: RingBook, file: MemberFile, heartbeats: Heartbeats) {
    this.#book = book;
    this.#file = file;
    this.#heartbeats = heartbeats;
    this.#ownId = file.saved.id;
    if (file.before.settling) this.begin();
  }

  get isOn(): boolean {
    return this.#missing !== undefined;
  }

  /** The store lost something. */
  begin(): void {
    const members = this.#book.newest?.version.members ?? [];
    this.losses++;
    this.hasRowsToPutBack = true;
    this.#missing = new Set(members.map(({ id }) => id).filter((id) => id !== this.#ownId));
    if (!this.#file.saved.settling) this.#file.save({ settling: true });
  }

  end(): void {
    this.#missing = undefined;
    this.#file.save({ settling: false });
  }

  /** Takes note of a member's heartbeat, which was not the first of it. */
  see({ id, version, hash }: MemberRow): void {
    if (this.#missing === undefined) return;
    // one that knows more than is known here has to be followed first
    const { newest, chain } = this.#book;
    const isKnown = chain.some((each) => each.hash === hash) || version < (newest?.version.floor ?? 0);
    if (version <= (newest?.version.number ?? 0) && (isKnown || version === 0)) this.#missing.delete(id);
  }

  /**
   * The member for which a version has to wait; undefined: for nobody.
   * @param rows of all, of which others may be in doubt themselves
   */
  waitsFor(rows: Iterable<MemberRow>): string | undefined {
    if (this.#missing !== undefined) {
      const members = new Set(this.#book.newest?.version.members.map(({ id }) => id));
      for (const id of this.#missing) if (!members.has(id)) this.#missing.delete(id);
      const [first] = this.#missing;
      if (first !== undefined) return first;
      this.end();
    }
    for (const { id, settling } of rows) if (id !== this.#ownId && settling && this.#heartbeats.mayLive(id)) return id;
    return undefined;
  }
}
