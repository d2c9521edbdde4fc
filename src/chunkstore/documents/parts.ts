import { BytesError } from '../../lib/bytes.ts';
import type { Row, TableClient, TableStore } from '../../table/client.ts';
import { kindOf, partsHash, ROW_CONTENT, ROW_DOCUMENT, ROW_PAGE, ROW_STATE } from '../keys.ts';
import { contentRange, decodeDocument, openContent } from './document-row.ts';
import { decodeState, openPage } from './state-row.ts';

// Heads and their parts, for tools that walk the tables while others change them.

/** A head that changes so often while it is read is taken as it is. */
const TRIES_MAX = 20;

/** The rows of a table, each head behind the parts that it names: a part may come twice. */
export async function* wholeRows(
  { admin, client }: Pick<TableStore, 'admin' | 'client'>,
  table: string,
  signal?: AbortSignal,
): AsyncGenerator<readonly Row[]> {
  for await (const page of admin.scan(table, signal)) {
    const others: Row[] = [];
    for (const row of page) {
      const kind = kindOf(row.hash);
      if (kind === ROW_CONTENT || kind === ROW_PAGE) continue;
      if (kind !== ROW_DOCUMENT && kind !== ROW_STATE) others.push(row);
      else yield* wholeHead(client, table, row, signal);
    }
    if (others.length > 0) yield others;
  }
}

async function* wholeHead(
  client: TableClient,
  table: string,
  found: Row,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Row[]> {
  let head: Row | undefined = found;
  for (let tries = 1; head !== undefined; tries++) {
    const wanted = tryPartsOf(head);
    if (wanted === undefined) return yield [head];
    const there = new Set<string>();
    for await (const page of client.query({ table, hash: wanted.hash, strong: true }, signal)) {
      for (const { range } of page) there.add(hex(range));
      yield page;
    }
    if (tries === TRIES_MAX || wanted.ranges.every((range) => there.has(hex(range)))) return yield [head];
    head = await reread(client, table, head, signal);
  }
}

/**
 * Checks a head, and that its parts are there.
 * @throws BytesError
 */
export async function checkHead(
  client: TableClient,
  table: string,
  found: Row,
  signal: AbortSignal | undefined,
): Promise<void> {
  let head: Row | undefined = found;
  for (let before: Row | undefined; head !== undefined; ) {
    const wanted = partsOf(head);
    const there = new Set<string>();
    for await (const page of client.query({ table, hash: wanted.hash, strong: true }, signal)) {
      for (const { range } of page) there.add(hex(range));
    }
    const missing = wanted.ranges.find((range) => !there.has(hex(range)));
    if (missing === undefined) return;
    if (before !== undefined && Buffer.compare(before.value, head.value) === 0) {
      throw new BytesError(`the part ${hex(missing)} that it names is missing`);
    }
    before = head;
    head = await reread(client, table, head, signal);
  }
}

/** @throws BytesError */
export function checkPart({ hash, value }: Row): void {
  if (kindOf(hash) === ROW_CONTENT) openContent(value);
  else openPage(value);
}

interface Parts {
  readonly hash: Uint8Array;
  readonly ranges: readonly Uint8Array[];
}

/** @throws BytesError */
function partsOf({ hash, value }: Row): Parts {
  if (kindOf(hash) === ROW_STATE) {
    const { name, pages } = decodeState(value);
    return { hash: partsHash(hash, ROW_PAGE, name), ranges: pages.map((id) => Buffer.from(id, 'hex')) };
  }
  const { name, versions } = decodeDocument(value);
  const ranges = versions.flatMap(({ id, parts }) =>
    Array.from({ length: parts }, (_, part) => contentRange(id, part)),
  );
  return { hash: partsHash(hash, ROW_CONTENT, name), ranges };
}

/** Undefined where the head is damaged: no parts can be found of it. */
function tryPartsOf(head: Row): Parts | undefined {
  try {
    return partsOf(head);
  } catch (thrown) {
    if (thrown instanceof BytesError) return undefined;
    throw thrown;
  }
}

async function reread(
  client: TableClient,
  table: string,
  { hash, range }: Row,
  signal: AbortSignal | undefined,
): Promise<Row | undefined> {
  for await (const [row] of client.query({ table, hash, prefix: range, limit: 1, strong: true }, signal)) {
    if (row !== undefined && Buffer.compare(row.range, range) === 0) return row;
  }
  return undefined;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
