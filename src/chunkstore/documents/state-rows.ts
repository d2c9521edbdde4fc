import type { RandomBytes } from '../../lib/random.ts';
import { storeErrors } from '../../model/errors-store.ts';
import { knownHash, nameRange, pageHash, stateHash } from '../keys.ts';
import type { DocumentKey } from './documents.ts';
import {
  decodeState,
  encodeState,
  openPage,
  PAGE_BYTES_MAX,
  PAGE_ID_BYTES,
  PAGES_MAX,
  STATE_BODY_BYTES_MAX,
  sealPage,
} from './state-row.ts';
import { decodeKnown, encodeKnown, guardedRow, type TenantTable, type TenantTables } from './tables.ts';

/** Which state: as documents are named. */
export type StateKey = DocumentKey;

/** A head as it was read: what a compare-and-set names as expected. */
export interface StateHead {
  readonly name: string;
  /** Ids of the pages that belong to it. */
  readonly pages: readonly string[];
  readonly body: Uint8Array;
  /** The row's value. */
  readonly value: Uint8Array;
}

/**
 * State that services keep for tenants: a head for each name, changed by compare-and-set, and pages that it names.
 * Pages are written before the head that names them, under ids that were never used, and removed after the head that
 * no longer does: a reader that finds a page missing has an old head, and reads it again.
 */
export class StateRows {
  readonly #table: TenantTable;
  readonly #randomBytes: RandomBytes;

  constructor(tables: TenantTables, randomBytes: RandomBytes) {
    this.#table = tables.state;
    this.#randomBytes = randomBytes;
  }

  async get({ tenant, kind, name }: StateKey, signal?: AbortSignal): Promise<StateHead | undefined> {
    const value = await this.#table.get({ hash: stateHash(tenant, kind), range: nameRange(name) }, signal);
    return value === undefined ? undefined : headOf(tenant, kind, value);
  }

  /** All heads of a kind, page by page of the store. */
  async *list(tenant: string, kind: string, signal?: AbortSignal): AsyncGenerator<StateHead> {
    for await (const page of this.#table.query({ hash: stateHash(tenant, kind) }, signal)) {
      for (const { value } of page) yield headOf(tenant, kind, value);
    }
  }

  /**
   * Puts a head in place of the expected one; undefined: none may be there.
   * @returns the head as it is now; undefined where another one was there, and nothing changed
   */
  async compareAndSet(
    key: StateKey,
    expected: StateHead | undefined,
    next: Pick<StateHead, 'pages' | 'body'>,
    signal?: AbortSignal,
  ): Promise<StateHead | undefined> {
    const { tenant, kind, name } = key;
    check(kind, 'head', next.body.length, STATE_BODY_BYTES_MAX);
    check(kind, 'number of pages', next.pages.length, PAGES_MAX);
    if (expected === undefined) await this.#tell(tenant, kind, signal);
    const value = encodeState({ name, ...next });
    const row = { hash: stateHash(tenant, kind), range: nameRange(name) };
    const done = await this.#table.compareAndSet(row, expected?.value, value, signal);
    return done ? { name, pages: [...next.pages], body: next.body, value } : undefined;
  }

  /** Removes a head and its pages, whatever stands there. */
  async remove(key: StateKey, signal?: AbortSignal): Promise<void> {
    const { tenant, kind, name } = key;
    await this.#table.delete([{ hash: stateHash(tenant, kind), range: nameRange(name) }], signal);
    for await (const page of this.#table.query({ hash: pageHash(tenant, kind, name) }, signal)) {
      await this.#table.delete(
        page.map(({ hash, range }) => ({ hash, range })),
        signal,
      );
    }
  }

  newPageId(): string {
    return Buffer.from(this.#randomBytes(PAGE_ID_BYTES)).toString('hex');
  }

  /** @param pages by id, each at most `PAGE_BYTES_MAX` */
  async writePages(
    { tenant, kind, name }: StateKey,
    pages: ReadonlyMap<string, Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    for (const content of pages.values()) check(kind, 'page', content.length, PAGE_BYTES_MAX);
    const hash = pageHash(tenant, kind, name);
    const rows = [...pages].map(([id, content]) => ({
      hash,
      range: Buffer.from(id, 'hex'),
      value: sealPage(content),
    }));
    if (rows.length > 0) await this.#table.write(rows, signal);
  }

  /**
   * A head with all its pages, in its order, as they belong together.
   * @throws storeErrors.rowCorrupt where a page is missing from a head that stays the same, or is damaged
   */
  async read(
    key: StateKey,
    signal?: AbortSignal,
  ): Promise<{ readonly head: StateHead; readonly pages: readonly Uint8Array[] } | undefined> {
    for (let missing = ''; ; ) {
      const head = await this.get(key, signal);
      if (head === undefined) return undefined;
      const found = head.pages.length === 0 ? new Map<string, Uint8Array>() : await this.#pages(key, signal);
      const lacking = head.pages.find((id) => !found.has(id));
      if (lacking === undefined) return { head, pages: head.pages.map((id) => found.get(id)!) };
      if (lacking === missing) {
        const { kind, name, tenant } = key;
        throw storeErrors.rowCorrupt({
          name: `${kind} ${JSON.stringify(name)} of ${tenant}`,
          reason: `page ${lacking} is missing`,
        });
      }
      missing = lacking;
    }
  }

  /** Ids of all pages that lie under a name, those that no head names included. */
  async pageIds(key: StateKey, signal?: AbortSignal): Promise<string[]> {
    return [...(await this.#pages(key, signal)).keys()];
  }

  async removePages({ tenant, kind, name }: StateKey, ids: readonly string[], signal?: AbortSignal): Promise<void> {
    const hash = pageHash(tenant, kind, name);
    await this.#table.delete(
      ids.map((id) => ({ hash, range: Buffer.from(id, 'hex') })),
      signal,
    );
  }

  /** Tenants that have state of a kind, or had. */
  async tenants(kind: string, signal?: AbortSignal): Promise<string[]> {
    const found: string[] = [];
    for await (const page of this.#table.query({ hash: knownHash(kind) }, signal)) {
      for (const { value } of page) found.push(decodeKnown(value).tenant);
    }
    return found;
  }

  async #pages({ tenant, kind, name }: StateKey, signal: AbortSignal | undefined): Promise<Map<string, Uint8Array>> {
    const pages = new Map<string, Uint8Array>();
    for await (const page of this.#table.query({ hash: pageHash(tenant, kind, name) }, signal)) {
      for (const { range, value } of page) {
        const id = Buffer.from(range).toString('hex');
        pages.set(
          id,
          guardedRow(tenant, kind, name, () => openPage(value)),
        );
      }
    }
    return pages;
  }

  async #tell(tenant: string, kind: string, signal: AbortSignal | undefined): Promise<void> {
    const row = { hash: knownHash(kind), range: nameRange(tenant), value: encodeKnown({ tenant, mark: '' }) };
    await this.#table.write([row], signal);
  }
}

function check(kind: string, part: string, bytes: number, limitBytes: number): void {
  if (bytes > limitBytes) throw storeErrors.documentTooLarge({ kind, part, bytes, limitBytes });
}

function headOf(tenant: string, kind: string, value: Uint8Array): StateHead {
  return { ...guardedRow(tenant, kind, '', () => decodeState(value)), value };
}
