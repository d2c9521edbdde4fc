/** What became of a sample: as the kernel answers (kernel/chunks.ts). */
export const APPENDED = 0;
/** The very same sample is there: success. */
export const HELD = 1;
export const OUT_OF_ORDER = 2;
export const DUPLICATE_TIME = 3;
export const TOO_OLD = 4;
export const NO_ROOM = 5;
