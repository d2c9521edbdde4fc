import xxhash from 'xxhash-wasm';
import { getOrMake } from '../lib/map.ts';
import type { Row } from '../table/client.ts';
import { hexOf } from './group-row.ts';
import {
  contentId,
  daysHash,
  daysRange,
  labelHash,
  placementHash,
  placementRange,
  tenantsHash,
  tenantsRange,
} from './keys.ts';
import { encodeLabelRow, type LabelValues } from './label-row.ts';
import { encodePlacement, type Placement, type Slot } from './placement.ts';
import { HashList, type SeenRows } from './seen.ts';

const { h64Raw } = await xxhash();

/** A tenant's part before it has any value: with very many tenants that is most of it. */
const TENANT_HEAP_BYTES = 1024;
const LABEL_ROW_BYTES_AIMED = 64 * 1024;
/** New values of a label name lie in the overview row up to so many bytes, so that small tenants pay for few rows. */
const LABEL_OVERVIEW_BYTES_MAX = 1024;
// Memory that a new value, and a slot of it, take, more or less.
const VALUE_HEAP_BYTES = 160;
const SLOT_HEAP_BYTES = 16;

/** Rows that lead to the groups of one tenant and day: placement, days, tenants and label rows that are not known to be there. */
export class LeadingRows {
  readonly #tenant: string;
  readonly #day: number;
  readonly #seen: SeenRows;
  readonly #rows: Row[] = [];
  readonly #hashes = new HashList();
  readonly #placements = new Set<Placement>();
  readonly #slots: string[] = [];
  /** New values by label name, both of one character a byte; of each the slots, as indexes into `#slots`. */
  readonly #fresh = new Map<string, Map<string, number[]>>();
  /** Values that were looked up for the last slot. */
  readonly #known = new Map<string, Set<string>>();
  /** Memory that it holds, more or less. */
  heldBytes = TENANT_HEAP_BYTES;

  constructor(tenant: string, day: number, seen: SeenRows) {
    this.#tenant = tenant;
    this.#day = day;
    this.#seen = seen;
    this.#add({ hash: daysHash(tenant), range: daysRange(day), value: new Uint8Array(0) });
    this.#add({ hash: tenantsHash(day), range: tenantsRange(tenant), value: Buffer.from(tenant) });
  }

  /** The series that follow are in this slot. @param placement absent: its row is somebody else's to write */
  beginSlot(placement: Placement | undefined, slot: Slot): void {
    if (placement !== undefined && !this.#placements.has(placement)) {
      this.#placements.add(placement);
      const value = encodePlacement(placement);
      const range = placementRange(placement.version, contentId(value));
      this.#add({ hash: placementHash(this.#tenant, this.#day), range, value });
    }
    const hex = hexOf(slot);
    if (this.#slots.at(-1) === hex) return;
    this.#slots.push(hex);
    this.#known.clear();
  }

  /** @param parts of a series, as `labelParts` gives them */
  addLabels(parts: readonly string[]): void {
    for (let i = 0; i < parts.length; i += 2) {
      const name = parts[i]!;
      const value = parts[i + 1]!;
      const known = getOrMake(this.#known, name, () => new Set<string>());
      if (known.has(value)) continue;
      known.add(value);
      this.#addValue(name, value);
    }
  }

  #addValue(name: string, value: string): void {
    const slot = this.#slots.length - 1;
    const hash = h64Raw(Buffer.from(`${this.#slots[slot]} ${name.length} ${name}${value}`, 'latin1'), 2n);
    if (this.#seen.has(this.#tenant, this.#day, hash)) return;
    const slots = getOrMake(
      getOrMake(this.#fresh, name, () => new Map<string, number[]>()),
      value,
      () => {
        this.heldBytes += VALUE_HEAP_BYTES + value.length;
        return [] as number[];
      },
    );
    this.#hashes.push(hash);
    slots.push(slot);
    this.heldBytes += SLOT_HEAP_BYTES;
  }

  #add(row: Row): void {
    const hash = h64Raw(Buffer.concat([row.hash, row.range, row.value]), 0n);
    if (this.#seen.has(this.#tenant, this.#day, hash)) return;
    this.#hashes.push(hash);
    this.#rows.push(row);
  }

  /** Takes in what another has found for a slot of the same tenant and day. */
  absorb(other: LeadingRows, placement: Placement, slot: Slot): void {
    this.beginSlot(placement, slot);
    for (const [name, values] of other.#fresh) for (const value of values.keys()) this.#addValue(name, value);
  }

  /** All that has to be written. */
  rows(): Row[] {
    return [...this.#rows, ...this.#labelRows()];
  }

  /** Rows that were written count as seen from here on, so they are not written again. */
  confirm(): void {
    this.#seen.add(this.#tenant, this.#day, this.#hashes);
  }

  #labelRows(): Row[] {
    const overview: LabelValues[] = [];
    const rows: Row[] = [];
    const addRow = (name: string, labels: readonly LabelValues[]) => {
      const value = encodeLabelRow(labels);
      rows.push({ hash: labelHash(this.#tenant, this.#day, name), range: contentId(value), value });
    };
    for (const [latin1, values] of this.#fresh) {
      const name = utf8(latin1);
      let parts = 0;
      for (const part of this.#cutValues(values)) {
        if (parts === 0 && part.last && part.bytes <= LABEL_OVERVIEW_BYTES_MAX) {
          overview.push({ name, elsewhere: false, values: part.values });
          break;
        }
        if (parts++ === 0) overview.push({ name, elsewhere: true, values: new Map() });
        addRow(name, [{ name, elsewhere: false, values: part.values }]);
      }
    }
    for (const part of cutOverview(overview)) addRow('', part);
    return rows;
  }

  /** Values in parts of a row each; their bytes as text. */
  *#cutValues(values: ReadonlyMap<string, readonly number[]>): Generator<ValuesPart> {
    let part = new Map<string, ReadonlySet<string>>();
    let bytes = 0;
    let left = values.size;
    for (const [value, slots] of values) {
      part.set(utf8(value), new Set(slots.map((slot) => this.#slots[slot]!)));
      bytes += value.length + 2 * slots.length + 2;
      left--;
      if (bytes < LABEL_ROW_BYTES_AIMED && left > 0) continue;
      yield { values: part, bytes, last: left === 0 };
      part = new Map();
      bytes = 0;
    }
  }
}

interface ValuesPart {
  readonly values: ReadonlyMap<string, ReadonlySet<string>>;
  /** Bytes that the values take in a row, more or less. */
  readonly bytes: number;
  readonly last: boolean;
}

function* cutOverview(labels: readonly LabelValues[]): Generator<LabelValues[]> {
  let part: LabelValues[] = [];
  let bytes = 0;
  for (const each of labels) {
    if (bytes >= LABEL_ROW_BYTES_AIMED) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(each);
    bytes += each.name.length + 4;
    for (const [value, slots] of each.values) bytes += value.length + 2 * slots.size + 2;
  }
  if (part.length > 0) yield part;
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString();
}
