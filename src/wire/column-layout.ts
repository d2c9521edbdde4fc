// Blocks of frames on their way to another process, as far as the kernel (AssemblyScript) does not know them alone: it compiles this
// file too, so it holds plain numbers and imports nothing. docs/formats/rpc.md draws them.

/** A block of columns. */
export const BLOCK_COLUMNS = 1;
/** A block of frames as they are. */
export const BLOCK_WHOLE = 2;
export const BLOCK_HEADER_BYTES = 16;

// where the fields lie in a block's header, all u32
export const BLOCK_KIND_AT = 0;
/** With its header. */
export const BLOCK_BYTES_AT = 4;
export const BLOCK_FRAMES_AT = 8;
export const BLOCK_SAMPLES_AT = 12;

// why a block is none
/** Its bytes end before its columns do. */
export const COLUMNS_SHORT = -1;
export const COLUMNS_UNKNOWN = -2;
/** Its frames have other numbers of samples than it says, or such as no frame has. */
export const COLUMNS_COUNT = -3;
export const COLUMNS_RUN = -4;
export const COLUMNS_TIME = -5;
/** There are bytes behind its columns. */
export const COLUMNS_LEFT = -6;
