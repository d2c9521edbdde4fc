// The bytes of a slice, said once: the kernel (AssemblyScript) compiles this file too, so it holds plain numbers and imports nothing.
// docs/formats/slices.md draws it.

/** A series begins at a multiple of 8 and has a multiple of 8 bytes: header, labels (padded), chunks. */
export const SERIES_HEADER_BYTES = 16;

// where the fields lie in a series' header
/** u32, header included. */
export const SERIES_BYTES_AT = 0;
/** u32, without the padding behind them. */
export const SERIES_LABELS_BYTES_AT = 4;
/** u32 */
export const SERIES_CHUNKS_AT = 8;
/** u32 */
export const SERIES_REF_AT = 12;

/** A chunk: header, bytes (padded). */
export const CHUNK_HEADER_BYTES = 8;

// where the fields lie in a chunk's header
/** u32, without header and padding. */
export const CHUNK_BYTES_AT = 0;
/** u32: CHUNK_UNORDERED, CHUNK_STARTS, encoding (chunk/head-chunk.ts). */
export const CHUNK_FLAGS_AT = 4;
