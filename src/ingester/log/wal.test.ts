import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { scratchFolder } from '../../../test/harness/scratch-folder.ts';
import { Kernel } from '../../chunk/kernel.ts';
import { Region } from '../../chunk/region.ts';
import { seededRandom } from '../../lib/random.ts';
import { FILE_HEADER_BYTES, RECORD_HEADER_BYTES } from '../../wire/record-layout.ts';
import { realDisk } from './disk.ts';
import { useLogKey } from './log-key.ts';
import { oldFile, oldRecord } from './test-log.ts';
import { fileHeader, RECORD_BYTES_MAX, sealRecord, WAL_NOTE, WalReader } from './wal.ts';

const folder = scratchFolder('wal');
const kernel = Kernel.create();
useLogKey(kernel, realDisk, folder, true);
const scratch = new Region(kernel, 1 << 20);
const buffer = new Region(kernel);

function record(lsn: number, payload: Uint8Array, with_ = kernel, region = scratch): Buffer {
  const at = region.ensure(RECORD_HEADER_BYTES + payload.length);
  with_.u8.set(payload, at + RECORD_HEADER_BYTES);
  sealRecord(with_, at, payload.length, WAL_NOTE, lsn);
  return Buffer.from(with_.u8.slice(at, at + RECORD_HEADER_BYTES + payload.length));
}

function read(bytes: Uint8Array): { records: string[]; reader: WalReader } {
  const file = path.join(folder, 'one.wal');
  fs.writeFileSync(file, bytes);
  const reader = new WalReader(kernel, realDisk, file, buffer);
  const records: string[] = [];
  for (let one = reader.next(); one !== undefined; one = reader.next()) {
    records.push(`${one.lsn} ${Buffer.from(kernel.u8.slice(one.at, one.at + one.bytes)).toString('latin1')}`);
  }
  reader.close();
  return { records, reader };
}

/** As the page of the format says it, over bytes that are all there. */
function plainRead(bytes: Buffer): string[] {
  const records: string[] = [];
  const sum = (at: number, holds: 'recordHeaderHolds' | 'recordPayloadHolds', length: number) =>
    kernel.exports[holds](scratch.put(bytes.subarray(at, at + length))) !== 0;
  for (let at = FILE_HEADER_BYTES; at + RECORD_HEADER_BYTES <= bytes.length; ) {
    if (!sum(at, 'recordHeaderHolds', RECORD_HEADER_BYTES)) {
      at++;
      continue;
    }
    const payload = at + RECORD_HEADER_BYTES;
    const end = payload + bytes.readUInt32LE(at + 4);
    if (end > bytes.length) break;
    if (sum(at, 'recordPayloadHolds', end - at)) {
      records.push(`${bytes.readBigUInt64LE(at + 8)} ${bytes.subarray(payload, end).toString('latin1')}`);
    }
    at = end;
  }
  return records;
}

/** Records whose payloads hold records: of the first version, of another key, and what stands around them. */
function nested(random: () => number): { bytes: Buffer; written: string[] } {
  const other = Kernel.create();
  const otherFolder = fs.mkdtempSync(path.join(folder, 'other-'));
  useLogKey(other, realDisk, otherFolder, true);
  const region = new Region(other, 65536);
  const parts: Buffer[] = [Buffer.from(fileHeader(kernel, scratch))];
  const written: string[] = [];
  for (let lsn = 1; lsn <= 30; lsn++) {
    const forged = Buffer.from(`{"tenant":[${lsn},"thief"]}`);
    const inner = [
      oldRecord(kernel, WAL_NOTE, lsn, forged),
      record(lsn, forged, other, region),
      Buffer.from('\x7fWAL'),
    ];
    const filler = () => Buffer.alloc(Math.floor(random() * 200), 97);
    const payload = Buffer.concat([filler(), ...inner.filter(() => random() < 0.6), filler()]);
    parts.push(record(lsn, payload));
    written.push(`${lsn} ${payload.toString('latin1')}`);
  }
  return { bytes: Buffer.concat(parts), written };
}

test('whatever is done to a log, only records that were written come out, as the plain reader finds them', () => {
  const random = seededRandom(11);
  const int = (below: number) => Math.floor(random() * below);
  for (let round = 0; round < 400; round++) {
    const { bytes, written } = round % 20 === 0 ? nested(random) : kept;
    kept = { bytes, written };
    let changed = Buffer.from(bytes);
    for (let n = int(4); n >= 0; n--) {
      const at = FILE_HEADER_BYTES + int(changed.length - FILE_HEADER_BYTES);
      const length = int(100);
      switch (int(6)) {
        case 0: // a bit
          changed[at]! ^= 1 << int(8);
          break;
        case 1: // zeros
          changed.fill(0, at, Math.min(changed.length, at + length));
          break;
        case 2: // the end is gone
          changed = changed.subarray(0, at);
          break;
        case 3: // a piece is gone
          changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + length)]);
          break;
        case 4: // a piece stands elsewhere again
          changed = Buffer.concat([
            changed.subarray(0, at),
            changed.subarray(int(changed.length)),
            changed.subarray(at),
          ]);
          break;
        default: // a length
          if (at + 4 <= changed.length) changed.writeUInt32LE(int(2) === 0 ? 0xffffffff : int(5000), at);
      }
      if (changed.length <= FILE_HEADER_BYTES + 1) break;
    }
    const { records, reader } = read(changed);
    assert.deepEqual(records, plainRead(changed), `round ${round}`);
    const all = new Set(written);
    for (const one of records) assert.ok(all.has(one), `round ${round}: ${one.slice(0, 60)} was never written`);
    const lost = reader.losses.reduce((sum, { bytes: n }) => sum + n, 0);
    const held = records.reduce((sum, one) => sum + RECORD_HEADER_BYTES + one.length - one.indexOf(' ') - 1, 0);
    assert.equal(FILE_HEADER_BYTES + held + lost, changed.length, `round ${round}: every byte is a record's or lost`);
  }
});
let kept: { bytes: Buffer; written: string[] } = nested(seededRandom(1));

test('a payload that does not hold is skipped by the length that its header tells, whatever is in it', () => {
  const forged = record(2, Buffer.from('forged by the holder of the key'));
  const carrier = record(1, Buffer.concat([Buffer.from('begin'), forged, Buffer.from('end')]));
  carrier[carrier.length - 1]! ^= 1;
  const { records, reader } = read(
    Buffer.concat([fileHeader(kernel, scratch), carrier, record(3, Buffer.from('next'))]),
  );
  assert.deepEqual(records, ['3 next']);
  assert.deepEqual(
    reader.losses.map(({ position, bytes, kind }) => [position, bytes, kind]),
    [[FILE_HEADER_BYTES, carrier.length, 'damage']],
  );
});

test('what is wrong at the end of a file is told apart: a write that was cut short, and damage', () => {
  const whole = Buffer.concat([
    fileHeader(kernel, scratch),
    record(1, Buffer.alloc(5000, 1)),
    record(2, Buffer.alloc(5000, 2)),
  ]);
  const kinds = (bytes: Buffer) => read(bytes).reader.losses.map(({ kind, bytes: n }) => `${kind} ${n}`);
  assert.deepEqual(kinds(whole), []);
  assert.deepEqual(kinds(whole.subarray(0, whole.length - 10)), ['cut 5022']);
  assert.deepEqual(kinds(whole.subarray(0, whole.length - 5010)), ['cut 22']);
  assert.deepEqual(kinds(Buffer.concat([whole, Buffer.alloc(4096)])), ['tail 4096']);
  assert.deepEqual(kinds(Buffer.concat([whole.subarray(0, whole.length - 4096), Buffer.alloc(4096)])), ['tail 5032']);
});

test('a file of the first version is read on, by lengths alone: what lies within a record is never one', () => {
  const note = (lsn: number, text: string) => oldRecord(kernel, WAL_NOTE, lsn, Buffer.from(text));
  assert.deepEqual(read(oldFile([note(1, 'a'), note(2, 'b')])).records, ['1 a', '2 b']);
  const carrier = oldRecord(kernel, WAL_NOTE, 2, Buffer.concat([note(7, 'forged'), Buffer.from('end')]));
  const broken = Buffer.from(carrier);
  broken[broken.length - 1]! ^= 1;
  assert.deepEqual(read(oldFile([note(1, 'a'), broken, note(3, 'c')])).records, ['1 a', '3 c']);
  // where a header is broken nothing behind it can be trusted, since there is no key
  const headless = Buffer.from(carrier);
  headless[0] = 0;
  const { records, reader } = read(oldFile([note(1, 'a'), headless, note(3, 'c')]));
  assert.deepEqual(records, ['1 a']);
  assert.equal(reader.losses[0]!.bytes, headless.length + note(3, 'c').length);
});

test('a record of the first version beyond what a reader holds is skipped whole, with what a sender put into it', () => {
  const forged = oldRecord(kernel, WAL_NOTE, 2, Buffer.from('{"tenant":[0,"thief"]}'));
  const payload = Buffer.alloc(65 * 1024 * 1024);
  for (let at = 1000; at < payload.length - 1000; at += 1_000_000) forged.copy(payload, at);
  const note = (lsn: number, text: string) => oldRecord(kernel, WAL_NOTE, lsn, Buffer.from(text));
  // its own sum need not hold: nobody reads that far
  const carrier = Buffer.concat([oldRecord(kernel, WAL_NOTE, 2, Buffer.alloc(0)), payload]);
  carrier.writeUInt32LE(payload.length, 4);
  assert.deepEqual(read(oldFile([note(1, 'a'), carrier, note(3, 'c')])).records, ['1 a', '3 c']);
});

test('a file that ends anywhere within its header has no record, and is taken', () => {
  const header = Buffer.from(fileHeader(kernel, scratch));
  for (let bytes = 0; bytes < header.length; bytes++) {
    assert.deepEqual(read(header.subarray(0, bytes)).records, [], `${bytes} bytes`);
  }
});

test('a file of a later version, or of another key, is refused with its name', () => {
  const later = Buffer.concat([Buffer.from('PALLIUM WAL 3\n\0\0'), Buffer.alloc(100)]);
  assert.throws(() => read(later), /one\.wal was written by a later version/);
  const other = Kernel.create();
  useLogKey(other, realDisk, fs.mkdtempSync(path.join(folder, 'other-')), true);
  const region = new Region(other, 65536);
  const foreign = Buffer.concat([fileHeader(other, region), record(1, Buffer.from('x'), other, region)]);
  assert.throws(() => read(foreign), /one\.wal was written with another key than the one in .*log\.key/);
});

test('the key is its owner’s alone, made once, and never made anew under a log that needs it', () => {
  const at = fs.mkdtempSync(path.join(folder, 'key-'));
  const file = path.join(at, 'log.key');
  useLogKey(Kernel.create(), realDisk, at, true);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  const first = fs.readFileSync(file);
  useLogKey(Kernel.create(), realDisk, at, false);
  assert.deepEqual(fs.readFileSync(file), first);
  for (const damaged of [
    Buffer.alloc(0),
    first.subarray(0, 20),
    Buffer.concat([first, first]),
    first.map((b, i) => (i === 20 ? b ^ 1 : b)),
  ]) {
    fs.writeFileSync(file, damaged);
    assert.throws(() => useLogKey(Kernel.create(), realDisk, at, true), /log\.key is damaged/);
  }
  fs.rmSync(file);
  assert.throws(() => useLogKey(Kernel.create(), realDisk, at, false), /log\.key is missing/);
});

test('no record is longer than a reader takes', () => {
  const at = scratch.ensure(RECORD_HEADER_BYTES + RECORD_BYTES_MAX + 1);
  assert.throws(() => sealRecord(kernel, at, RECORD_BYTES_MAX + 1, WAL_NOTE, 1), /bug: a record of/);
});
