// Rows of many series in one call of the kernel, said once: the kernel (AssemblyScript) compiles this file too, so it holds plain numbers
// and imports nothing.

// functions of a window; `rate` and its like have numbers of their own for what they count and divide by
export const ROW_RATE = 0;
export const ROW_DELTA = 1;
export const ROW_LAST = 2;
export const ROW_MIN = 3;
export const ROW_MAX = 4;
export const ROW_SUM = 5;
export const ROW_AVG = 6;
export const ROW_COUNT = 7;
export const ROW_PRESENT = 8;
export const ROW_CHANGES = 9;
export const ROW_RESETS = 10;

/** A series in a list: six u32. The caller says where its chunks lie, and finds in their place what became of it. */
export const ROW_ENTRY_WORDS = 6;
// before: byte offsets of the chunks' start and end
export const ROW_CHUNKS_FROM = 0;
export const ROW_CHUNKS_TO = 1;
// after: steps of the row, from and to (exclusive); nothing else holds where the first is ROW_OTHERWISE
export const ROW_FROM = 0;
export const ROW_TO = 1;
/** Samples in all windows, those in any window, and those of the largest. */
export const ROW_TOTAL = 2;
export const ROW_DISTINCT = 3;
export const ROW_LONGEST = 4;
/** Samples of the series in the range that was asked for. */
export const ROW_SAMPLES = 5;

/** The series needs more than the kernel's loops: it is to be read as columns. */
export const ROW_OTHERWISE = 0xffffffff;

/** Scratch for each step of a row: windows and tables of ROW_SLOTS lists of times. */
export const ROW_STEP_BYTES = 40;
/** Lists of times for which windows are kept. */
export const ROW_SLOTS = 16;
