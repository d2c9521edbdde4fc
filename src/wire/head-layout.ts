// A head's series and chunks in the kernel's memory, as far as other threads read them (ingester/head/head-reader.ts). The kernel
// (AssemblyScript) compiles this file too, so it holds plain numbers and imports nothing.

/** Records lie in blocks; the directory has the address (u32) of each. */
export const HEAD_BLOCK_SHIFT = 8;
export const HEAD_SERIES_BYTES = 80;

// where the fields lie in the record of a series
/** Two u64: the key of tenant and labels. */
export const HEAD_SERIES_KEY_AT = 0;
/** The appender of the open chunk. */
export const HEAD_SERIES_APPENDER_AT = 16;
/** u8: 0 free, 1 live. */
export const HEAD_SERIES_STATE_AT = 58;
/** u32, the newest chunk beside the open one; 0: there is none. */
export const HEAD_SERIES_CHUNKS_AT = 60;

// where the fields lie in an appender
/** i64, ms: the last sample's. */
export const APPENDER_TIME_AT = 0;
/** u32, where the chunk's bytes lie. */
export const APPENDER_DATA_AT = 24;
/** u32, bits written, the count's 16 included. */
export const APPENDER_BITS_AT = 28;
/** u16 */
export const APPENDER_COUNT_AT = 32;
/** u32 */
export const APPENDER_ARENA_AT = 36;

// where the fields lie in the record of a chunk
/** u32, the chunk before it; 0: there is none. */
export const HEAD_CHUNK_NEXT_AT = 0;
/** u32: CHUNK_UNORDERED, PACKED_FLAGS. */
export const HEAD_CHUNK_FLAGS_AT = 4;
/** i64, ms. */
export const HEAD_CHUNK_MIN_AT = 8;
/** i64, ms. */
export const HEAD_CHUNK_MAX_AT = 16;
/** An appender, of a chunk that is not packed. */
export const HEAD_CHUNK_APPENDER_AT = 24;

// where the further fields of a packed chunk lie
/** u32 */
export const HEAD_PACKED_ARENA_AT = 24;
/** u32, where the column of times lies. */
export const HEAD_PACKED_TIMES_AT = 28;
/** u16 */
export const HEAD_PACKED_COUNT_AT = 32;
/** u16 */
export const HEAD_PACKED_TIMES_BYTES_AT = 34;
/** u16 */
export const HEAD_PACKED_VALUES_BYTES_AT = 36;
/** u8, 1: there are NaN, stale markers or others. */
export const HEAD_PACKED_SPECIAL_AT = 38;
/** The column of values. */
export const HEAD_PACKED_VALUES_AT = 40;

/** Bytes of the header of a packed chunk as readers get it. */
export const PACKED_HEADER_BYTES = 5;

/** Chunks that are packed and follow each other count as one up to so many bytes: what they would be, had none been cut. */
export const RUN_BYTES_MAX = 8192;
