import {
  FILE_TEXT_BYTES,
  OLD_RECORD_HEADER_BYTES,
  RECORD_BYTES_AT,
  RECORD_HEADER_BYTES,
  RECORD_LSN_AT,
  RECORD_MAGIC,
  RECORD_MAGIC_AT,
  RECORD_TYPE_AT,
} from '../src/wire/record-layout';
import { sipHash, xxh64, xxh64Seeded } from './hash';

// Records of the log (docs/formats/wal.md). Both sums are made with the folder's key, so that nobody who may only write samples
// can put bytes into the log that a reader takes for a record.

/** u32: low half of XXH64 of the payload, seeded with the key. */
const RECORD_PAYLOAD_SUM_AT: usize = 20;
/** u64: first half of SipHash-1-3-128 of the bytes before it, with the key. */
const RECORD_HEADER_SUM_AT: usize = 24;
/** u32: low half of XXH64 of the payload, xor that of the 16 bytes from RECORD_BYTES_AT times 0x9e3779b1. */
const OLD_RECORD_SUM_AT: usize = 20;

let k0: u64 = 0;
let k1: u64 = 0;
let seed: u64 = 0;

/** Sets the key of the log: 32 bytes, of which the header's sum uses 16 and the payload's 8. */
export function logKey(p: usize): void {
  k0 = load<u64>(p);
  k1 = load<u64>(p, 8);
  seed = load<u64>(p, 16);
}

/** Puts the header in front of a payload, which starts at `p + RECORD_HEADER_BYTES`. */
export function recordSeal(p: usize, bytes: u32, type: u32, lsnLow: u32, lsnHigh: u32): void {
  store<u32>(p, RECORD_MAGIC, RECORD_MAGIC_AT);
  store<u32>(p, bytes, RECORD_BYTES_AT);
  store<u32>(p, lsnLow, RECORD_LSN_AT);
  store<u32>(p, lsnHigh, RECORD_LSN_AT + 4);
  store<u32>(p, type, RECORD_TYPE_AT);
  store<u32>(p, <u32>xxh64Seeded(p + RECORD_HEADER_BYTES, bytes, seed), RECORD_PAYLOAD_SUM_AT);
  store<u64>(p, sipHash(p, <u32>RECORD_HEADER_SUM_AT, k0, k1), RECORD_HEADER_SUM_AT);
}

/** Whether these bytes are a header that this key made: then its length can be trusted. */
export function recordHeaderHolds(p: usize): bool {
  return (
    load<u32>(p, RECORD_MAGIC_AT) == RECORD_MAGIC &&
    load<u64>(p, RECORD_HEADER_SUM_AT) == sipHash(p, <u32>RECORD_HEADER_SUM_AT, k0, k1)
  );
}

/** Whether the payload is the one that the header was made for. The header holds, and all of the payload is there. */
export function recordPayloadHolds(p: usize): bool {
  return (
    load<u32>(p, RECORD_PAYLOAD_SUM_AT) ==
    <u32>xxh64Seeded(p + RECORD_HEADER_BYTES, load<u32>(p, RECORD_BYTES_AT), seed)
  );
}

/** Writes the eight bytes that say which key a file was written with: a sum of its first 16 bytes. */
export function fileSeal(p: usize): void {
  store<u64>(p, sipHash(p, FILE_TEXT_BYTES, k0, k1), FILE_TEXT_BYTES);
}

// ---- records of the first version: 24 bytes of header, one sum of both halves, no key

/** Whether header and payload of a record of the first version are those that were written. All of it is there. */
export function oldRecordHolds(p: usize): bool {
  const header = <u32>xxh64(p + RECORD_BYTES_AT, 16);
  return (
    load<u32>(p, OLD_RECORD_SUM_AT) ==
    (<u32>xxh64(p + OLD_RECORD_HEADER_BYTES, load<u32>(p, RECORD_BYTES_AT)) ^ (header * 0x9e3779b1))
  );
}
