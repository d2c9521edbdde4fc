import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Row } from '../../table/client.ts';
import { end, outputFile, print } from './output.ts';

const FORMAT = 1;
const MANIFEST = 'backup.json';
const LENGTHS_BYTES = 16;
/** More than any backend takes: what announces more is no row. */
const ROW_BYTES_MAX = 64 * 2 ** 20;

/** The contents of a backup. The manifest is written last, so a folder without it is no backup. */
export interface Manifest {
  readonly format: number;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly periods: readonly ManifestPeriod[];
}

export interface ManifestPeriod {
  /** Days since 1970 from which it holds; null for the first. */
  readonly fromDay: number | null;
  readonly tablePrefix: string;
  readonly tables: readonly string[];
}

/**
 * A backup in a folder: `backup.json`, `N/tables/TABLE.rows` for each period N, `N/objects/KEY`. A file of rows is, for each row,
 * u32 lengths of hash, range and value (little endian), the CRC-32 of these bytes, and the three.
 */
export class BackupFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async writeManifest(manifest: Omit<Manifest, 'format'>): Promise<void> {
    const text = `${JSON.stringify({ format: FORMAT, ...manifest }, undefined, 2)}\n`;
    await writeFile(join(this.path, `${MANIFEST}.new`), text, { flush: true });
    await rename(join(this.path, `${MANIFEST}.new`), join(this.path, MANIFEST));
  }

  /** @throws where the folder is no backup that this version can read */
  async readManifest(): Promise<Manifest> {
    const file = join(this.path, MANIFEST);
    let manifest: Manifest;
    try {
      manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest;
    } catch (cause) {
      throw new Error(`${this.path} is no finished backup: ${(cause as Error).message}`, { cause });
    }
    if (manifest.format !== FORMAT) throw new Error(`${file}: format ${manifest.format}, known is ${FORMAT}`);
    return manifest;
  }

  /** Writes a table's rows. @returns their number and bytes */
  async writeRows(period: number, table: string, pages: AsyncIterable<readonly Row[]>): Promise<RowTotals> {
    const file = join(this.path, String(period), 'tables', `${table}.rows`);
    await mkdir(dirname(file), { recursive: true });
    const out = outputFile(`${file}.new`);
    const totals = { rows: 0, bytes: 0 };
    for await (const page of pages) {
      for (const row of page) {
        const bytes = frame(row);
        totals.rows++;
        totals.bytes += bytes.length;
        await print(out, bytes);
      }
    }
    await end(out);
    await rename(`${file}.new`, file);
    return totals;
  }

  /** @throws where a row is damaged, with the file and the place */
  async *readRows(period: number, table: string): AsyncGenerator<Row> {
    const file = join(this.path, String(period), 'tables', `${table}.rows`);
    let held: Buffer = Buffer.alloc(0);
    let offset = 0;
    for await (const part of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      held = held.length === 0 ? part : Buffer.concat([held, part]);
      let at = 0;
      for (;;) {
        const size = frameBytes(held, at, () => `${file} at ${offset + at}`);
        if (size === undefined || held.length - at < size) break;
        yield unframe(held.subarray(at, at + size), () => `${file} at ${offset + at}`);
        at += size;
      }
      offset += at;
      held = held.subarray(at);
    }
    if (held.length > 0) throw new Error(`${file} ends within a row, at ${offset + held.length}`);
  }

  async objectBytes(period: number, key: string): Promise<number | undefined> {
    try {
      return (await stat(this.#object(period, key))).size;
    } catch {
      return undefined;
    }
  }

  async writeObject(period: number, key: string, body: Uint8Array): Promise<void> {
    const file = this.#object(period, key);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(`${file}.new`, body, { flush: true });
    await rename(`${file}.new`, file);
  }

  readObject(period: number, key: string): Promise<Uint8Array> {
    return readFile(this.#object(period, key));
  }

  /** Keys of the objects of a table, by the folder that they share. */
  async objects(period: number, prefix: string): Promise<string[]> {
    const folder = this.#object(period, prefix);
    const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return names
      .filter((each) => each.isFile() && !each.name.endsWith('.new'))
      .map((each) => `${prefix}${join(each.parentPath, each.name).slice(folder.length)}`)
      .sort();
  }

  #object(period: number, key: string): string {
    return join(this.path, String(period), 'objects', key);
  }
}

export interface RowTotals {
  rows: number;
  bytes: number;
}

function frame({ hash, range, value }: Row): Buffer {
  const out = Buffer.alloc(LENGTHS_BYTES + hash.length + range.length + value.length);
  out.writeUInt32LE(hash.length, 0);
  out.writeUInt32LE(range.length, 4);
  out.writeUInt32LE(value.length, 8);
  out.set(hash, LENGTHS_BYTES);
  out.set(range, LENGTHS_BYTES + hash.length);
  out.set(value, LENGTHS_BYTES + hash.length + range.length);
  out.writeUInt32LE(checksum(out), 12);
  return out;
}

function frameBytes(from: Buffer, at: number, place: () => string): number | undefined {
  if (from.length - at < LENGTHS_BYTES) return undefined;
  const size = LENGTHS_BYTES + from.readUInt32LE(at) + from.readUInt32LE(at + 4) + from.readUInt32LE(at + 8);
  if (size > ROW_BYTES_MAX) throw new Error(`${place()}: no row, or a damaged one`);
  return size;
}

function unframe(bytes: Buffer, place: () => string): Row {
  if (bytes.readUInt32LE(12) !== checksum(bytes)) throw new Error(`${place()}: a damaged row`);
  const range = LENGTHS_BYTES + bytes.readUInt32LE(0);
  const value = range + bytes.readUInt32LE(4);
  return {
    hash: bytes.subarray(LENGTHS_BYTES, range),
    range: bytes.subarray(range, value),
    value: bytes.subarray(value),
  };
}

/** The checksum of a row covers everything but itself. */
function checksum(bytes: Buffer): number {
  return crc32(bytes.subarray(LENGTHS_BYTES), crc32(bytes.subarray(0, 12)));
}
