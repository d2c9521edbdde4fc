// The kernel: everything that touches samples by the million. One WebAssembly module, instantiated once a thread and use.

export { coldDecode, coldIndex } from './cold-decode';
export { coldEncode, coldPlanes } from './cold-encode';
export {
  columnsDecode,
  columnsEncode,
  columnsFrames,
  columnsKind,
  columnsRoom,
  columnsRun,
  columnsSamples,
} from './columns';
export { digestSamples, digestSeed } from './digest';
export { digitPowers, writePoints } from './digits';
export { checksum } from './hash';
export * from './head';
export { heldDigest } from './held-digest';
export {
  dropSeries,
  framesAreWhole,
  ingestCount,
  ingestFirstFrame,
  ingestFirstLast,
  ingestFirstReason,
  ingestFirstRef,
  ingestFirstTime,
  ingestFrame,
  ingestFrameNumber,
  ingestFrames,
  ingestNewest,
  ingestOldest,
  ingestRefusals,
  ingestRefused,
  ingestRefusedWhy,
  ingestSeries,
  ingestSkip,
  ingestStart,
  ingestUnknown,
  logBytes,
  logInit,
  logTaken,
  replayCovered,
  replayInit,
  replayNewest,
  replayPayload,
} from './ingest';
export {
  fileSeal,
  logKey,
  oldRecordHolds,
  recordHeaderHolds,
  recordPayloadHolds,
  recordSeal,
} from './log-record';
export { memoryPages, reserveAhead } from './memory';
export { compareSeries, newestSamples, pairsNamed } from './newest';
export { mergeRefs, orderRefs } from './order';
export { packedDecode } from './packed';
export { readFlags, readSameTimes, readSeries } from './query';
export { rowAdd, rowCount, rowDrops, rowGather, rowOverflows, rowRate } from './rows';
export {
  rowsBegin,
  rowsBegun,
  rowsBlocks,
  rowsFill,
  rowsNeedFrom,
  rowsNeedTo,
  rowsRead,
  rowsSampleBytes,
  rowsTimesAt,
  rowsValuesAt,
  rowsWindows,
} from './series-rows';
export { snappyDecode, snappyLength } from './snappy';
export { findStale, largestGap } from './times';
export {
  scanBegin,
  scanBytes,
  scanDropped,
  scanExtras,
  scanFirstOutAt,
  scanFirstOutBytes,
  scanFirstOutTime,
  scanFrames,
  scanInit,
  scanKey,
  scanLimits,
  scanMore,
  scanRemember,
  scanRules,
  scanSamples,
  scanSeries,
  scanSlow,
  scanTenant,
  scanTooNew,
  scanTooOld,
} from './write-request';
export { xorAppend, xorDecode, xorDecodedBits } from './xor';
