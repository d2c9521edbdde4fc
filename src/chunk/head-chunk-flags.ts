// Flags of a head's chunk. The kernel (AssemblyScript) compiles this file too, so it holds plain numbers and imports nothing.
// Bits 8–15 are the encoding (head-chunk.ts).

/** The samples are in the order they came, whatever their times. */
export const CHUNK_UNORDERED = 1;
/** Behind `uvarint bytes · chunk` follow the samples' start timestamps, each as a varint: its difference to the one before. */
export const CHUNK_STARTS = 2;
/** The encoding of chunks of packed columns, which no other program knows (docs/formats/chunk-encodings.md). */
export const CHUNK_PACKED = 32;
/** The flags of a chunk of packed columns. */
export const PACKED_FLAGS = 8192;
