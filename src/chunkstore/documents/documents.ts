import { BytesError } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { RandomBytes } from '../../lib/random.ts';
import { storeErrors } from '../../model/errors-store.ts';
import type { Row } from '../../table/client.ts';
import { contentHash, documentHash, knownHash, nameRange } from '../keys.ts';
import {
  CONTENT_ROW_BYTES_MAX,
  contentFrom,
  contentIdOf,
  contentRange,
  DOCUMENT_BYTES_MAX,
  type DocumentRow,
  decodeDocument,
  encodeDocument,
  INLINE_BYTES_MAX,
  openContent,
  packContent,
  sealContent,
  unpackContent,
  VERSIONS_MAX,
  type VersionEntry,
} from './document-row.ts';
import { decodeKnown, encodeKnown, guardedRow, type TenantTable, type TenantTables } from './tables.ts';

/** A sort of document and the document's name within it, of one tenant. */
export interface DocumentKey {
  readonly tenant: string;
  /** `rules`, `alertmanager`, `dashboard`: up to 200 bytes. */
  readonly kind: string;
  /** Any text, up to a kilobyte. */
  readonly name: string;
}

/** Who changed a document, when. */
export interface DocumentVersion {
  /** From 1, never given twice: a document that comes back after it was deleted counts on. */
  readonly number: number;
  readonly timeMs: number;
  readonly user: string;
  readonly deleted: boolean;
  readonly bytes: number;
}

export interface Document {
  readonly name: string;
  readonly version: DocumentVersion;
  readonly content: Uint8Array;
}

/** A tenant that has, or had, documents of a kind. */
export interface KnownTenant {
  readonly tenant: string;
  /** Another one after each change of any of its documents: whoever remembers it need not read them again. */
  readonly mark: string;
}

export interface DocumentChange {
  readonly user: string;
  /** The version that it replaces, 0: there is none. Absent: whatever is there. */
  readonly expected?: number;
}

/** Documents of a kind that a tenant may have, deleted ones that are remembered included. */
export const DOCUMENTS_MAX = 20_000;
const NAME_BYTES_MAX = 1024;
/** Tries against others that change the same document, where it does not matter what is there. */
const TRIES_MAX = 8;

/**
 * The configuration of tenants: named texts, each changed by compare-and-set, with its last 100 versions, deleted ones too.
 * Nothing of it is cached here; several processes may change the same document.
 */
export class Documents {
  readonly #table: TenantTable;
  readonly #clock: Clock;
  readonly #randomBytes: RandomBytes;

  constructor(tables: TenantTables, clock: Clock, randomBytes: RandomBytes) {
    this.#table = tables.config;
    this.#clock = clock;
    this.#randomBytes = randomBytes;
  }

  /** Undefined where it is not there, or deleted. */
  async get(key: DocumentKey, signal?: AbortSignal): Promise<Document | undefined> {
    const row = await this.#row(key, signal);
    return row === undefined ? undefined : this.#current(key, row.document, signal);
  }

  /** All of a kind, with their content, ascending by name. */
  async list(tenant: string, kind: string, signal?: AbortSignal): Promise<Document[]> {
    const found: Document[] = [];
    for await (const page of this.#table.query({ hash: documentHash(tenant, kind) }, signal)) {
      for (const { value } of page) {
        const row = this.#decoded(tenant, kind, '', value);
        const document = await this.#current({ tenant, kind, name: row.name }, row, signal);
        if (document !== undefined) found.push(document);
      }
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The same without content. */
  async heads(tenant: string, kind: string, signal?: AbortSignal): Promise<Omit<Document, 'content'>[]> {
    const found: Omit<Document, 'content'>[] = [];
    for await (const page of this.#table.query({ hash: documentHash(tenant, kind) }, signal)) {
      for (const { value } of page) {
        const { name, versions } = this.#decoded(tenant, kind, '', value);
        const version = versions.at(-1)!;
        if (!version.deleted) found.push({ name, version: shown(version) });
      }
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Versions of a document, the oldest first; none where it never was. Those of a deleted one end with its deletion. */
  async versions(key: DocumentKey, signal?: AbortSignal): Promise<readonly DocumentVersion[]> {
    const row = await this.#row(key, signal);
    return row === undefined ? [] : row.document.versions.map(shown);
  }

  /** The content of a version; undefined where it is not kept, or was a deletion. */
  async contentOf(key: DocumentKey, number: number, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const row = await this.#row(key, signal);
    const version = row?.document.versions.find((each) => each.number === number);
    if (version === undefined || version.deleted) return undefined;
    return this.#content(key, version, signal);
  }

  /**
   * Puts a new version. Where the document has this content already nothing changes.
   * @throws storeErrors.documentChanged where another version than the expected one is there, documentTooLarge, documentsTooMany
   */
  async put(
    key: DocumentKey,
    content: Uint8Array,
    change: DocumentChange,
    signal?: AbortSignal,
  ): Promise<DocumentVersion> {
    const { kind, name } = key;
    const nameBytes = Buffer.byteLength(name);
    if (nameBytes > NAME_BYTES_MAX) {
      throw storeErrors.documentTooLarge({ kind, part: 'name', bytes: nameBytes, limitBytes: NAME_BYTES_MAX });
    }
    if (content.length > DOCUMENT_BYTES_MAX) {
      const bytes = content.length;
      throw storeErrors.documentTooLarge({ kind, part: 'content', bytes, limitBytes: DOCUMENT_BYTES_MAX });
    }
    return (await this.#change(key, content, change, signal))!;
  }

  /** @returns the version with which it is gone; undefined where it was not there @throws storeErrors.documentChanged */
  delete(key: DocumentKey, change: DocumentChange, signal?: AbortSignal): Promise<DocumentVersion | undefined> {
    return this.#change(key, undefined, change, signal);
  }

  /** Tenants that have documents of a kind, or had. */
  async tenants(kind: string, signal?: AbortSignal): Promise<KnownTenant[]> {
    const found: KnownTenant[] = [];
    for await (const page of this.#table.query({ hash: knownHash(kind) }, signal)) {
      for (const { value } of page) found.push(decodeKnown(value));
    }
    return found;
  }

  /** @param content undefined: it is deleted */
  async #change(
    key: DocumentKey,
    content: Uint8Array | undefined,
    { user, expected }: DocumentChange,
    signal: AbortSignal | undefined,
  ): Promise<DocumentVersion | undefined> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const row = await this.#row(key, signal);
      const versions = row?.document.versions ?? [];
      const last = versions.at(-1);
      const current = last === undefined || last.deleted ? undefined : last;
      if (expected !== undefined && (current?.number ?? 0) !== expected) {
        throw storeErrors.documentChanged({ ...key, expected, found: current?.number ?? 0 });
      }
      if (content === undefined && current === undefined) return undefined;
      if (content !== undefined && current !== undefined && current.bytes === content.length) {
        if (Buffer.compare(await this.#content(key, current, signal), content) === 0) return shown(current);
      }
      if (row === undefined) await this.#checkCount(key, signal);
      const next = await this.#append(key, row?.value, versions, content, user, signal);
      if (next !== undefined) return next;
    }
    throw storeErrors.documentChanged({ ...key, expected: expected ?? 0, found: undefined });
  }

  /** Content first, then the head; undefined where another one was faster. */
  async #append(
    key: DocumentKey,
    before: Uint8Array | undefined,
    versions: readonly VersionEntry[],
    content: Uint8Array | undefined,
    user: string,
    signal: AbortSignal | undefined,
  ): Promise<DocumentVersion | undefined> {
    const { tenant, kind, name } = key;
    const number = (versions.at(-1)?.number ?? 0) + 1;
    const packed = content === undefined ? new Uint8Array(0) : packContent(content);
    const id = contentIdOf(number, this.#randomBytes(8));
    const hash = contentHash(tenant, kind, name);
    const rows: Row[] = [];
    for (let from = 0; from < packed.length; from += CONTENT_ROW_BYTES_MAX) {
      const part = packed.subarray(from, from + CONTENT_ROW_BYTES_MAX);
      rows.push({ hash, range: contentRange(id, rows.length), value: sealContent(part) });
    }
    const version: VersionEntry = {
      number,
      timeMs: this.#clock.nowMs(),
      user,
      deleted: content === undefined,
      bytes: content?.length ?? 0,
      id,
      parts: rows.length,
    };
    const kept = [...versions, version].slice(-VERSIONS_MAX);
    const inline = packed.length <= INLINE_BYTES_MAX ? packed : new Uint8Array(0);
    // before the document is there, so that whoever reads all tenants finds it, and once more when it has changed
    await this.#tell(tenant, kind, signal);
    if (rows.length > 0) await this.#table.write(rows, signal);
    const next = encodeDocument({ name, versions: kept, inline });
    const head = { hash: documentHash(tenant, kind), range: nameRange(name) };
    if (!(await this.#table.compareAndSet(head, before, next, signal))) {
      await this.#table.delete(rows, signal);
      return undefined;
    }
    await this.#tell(tenant, kind, signal);
    if (kept.length <= versions.length) await this.#forgetBefore(hash, kept[0]!.number, signal);
    return shown(version);
  }

  async #tell(tenant: string, kind: string, signal: AbortSignal | undefined): Promise<void> {
    const mark = Buffer.from(this.#randomBytes(12)).toString('hex');
    const row = { hash: knownHash(kind), range: nameRange(tenant), value: encodeKnown({ tenant, mark }) };
    await this.#table.write([row], signal);
  }

  /** With what writers that were cut short have left of earlier versions. */
  async #forgetBefore(hash: Uint8Array, number: number, signal: AbortSignal | undefined): Promise<void> {
    for await (const page of this.#table.query({ hash, before: contentFrom(number) }, signal)) {
      await this.#table.delete(
        page.map(({ hash, range }) => ({ hash, range })),
        signal,
      );
    }
  }

  async #checkCount({ tenant, kind }: DocumentKey, signal: AbortSignal | undefined): Promise<void> {
    let count = 0;
    for await (const page of this.#table.query({ hash: documentHash(tenant, kind), limit: DOCUMENTS_MAX }, signal)) {
      count += page.length;
    }
    if (count >= DOCUMENTS_MAX) throw storeErrors.documentsTooMany({ tenant, kind, limit: DOCUMENTS_MAX });
  }

  async #row(
    { tenant, kind, name }: DocumentKey,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly value: Uint8Array; readonly document: DocumentRow } | undefined> {
    const value = await this.#table.get({ hash: documentHash(tenant, kind), range: nameRange(name) }, signal);
    return value === undefined ? undefined : { value, document: this.#decoded(tenant, kind, name, value) };
  }

  #decoded(tenant: string, kind: string, name: string, value: Uint8Array): DocumentRow {
    return guardedRow(tenant, kind, name, () => decodeDocument(value));
  }

  async #current(
    key: DocumentKey,
    { name, versions, inline }: DocumentRow,
    signal: AbortSignal | undefined,
  ): Promise<Document | undefined> {
    const version = versions.at(-1)!;
    if (version.deleted) return undefined;
    const content =
      inline.length > 0
        ? guardedRow(key.tenant, key.kind, name, () => unpackContent(inline, version.bytes))
        : await this.#content(key, version, signal);
    return { name, version: shown(version), content };
  }

  /** @throws storeErrors.rowCorrupt where parts are missing or damaged */
  async #content(
    { tenant, kind, name }: DocumentKey,
    version: VersionEntry,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const hash = contentHash(tenant, kind, name);
    const parts: Uint8Array[] = [];
    for (let part = 0; part < version.parts; part++) {
      const value = await this.#table.get({ hash, range: contentRange(version.id, part) }, signal);
      parts.push(guardedRow(tenant, kind, name, () => openContent(value ?? missing(part))));
    }
    return guardedRow(tenant, kind, name, () => unpackContent(Buffer.concat(parts), version.bytes));
  }
}

/** A version as APIs tell it. */
export function shownVersion({ number, timeMs, user, deleted, bytes }: DocumentVersion): object {
  return { version: number, time: new Date(timeMs).toISOString(), user, deleted, bytes };
}

function missing(part: number): never {
  throw new BytesError(`part ${part} of its content is missing`);
}

function shown({ number, timeMs, user, deleted, bytes }: VersionEntry): DocumentVersion {
  return { number, timeMs, user, deleted, bytes };
}
