// The bytes of a frame, said once: the kernel (AssemblyScript) compiles this file too, so it holds plain numbers and imports nothing.
// docs/formats/slices.md draws it.

/** Frames and their parts begin at multiples of 8; a frame's bytes are one. */
export const FRAME_HEADER_BYTES = 24;

// where the fields lie in the header
/** u32, header included. */
export const FRAME_BYTES_AT = 0;
/** u32, without the padding behind them. */
export const FRAME_LABELS_BYTES_AT = 4;
/** u32 */
export const FRAME_SAMPLES_AT = 8;
/** u32: FRAME_SLOW … FRAME_EXEMPLARS; 0: labels and samples for the kernel. */
export const FRAME_FLAGS_AT = 12;
/** u32: low half of the XXH64 of the metric name, seed 0. */
export const FRAME_METRIC_HASH_AT = 16;
/** u32: low half of the XXH64 of the canonical labels, seed 0; 0 where nobody asked for it. */
export const FRAME_LABELS_HASH_AT = 20;

// a frame with FRAME_SLOW is a header alone, with these in place of labels and samples
/** u32: where the series lies in the body. */
export const FRAME_BODY_AT = 4;
/** u32 */
export const FRAME_BODY_BYTES_AT = 8;

/** u32: why its labels are refused for sure, FAULT_LABEL_INVALID … FAULT_NO_NAME; 0: it is to be seen. */
export const FRAME_FAULT_AT = 16;
/** u32: samples and histograms of the series. */
export const FRAME_FAULT_SAMPLES_AT = 20;

export const FAULT_LABEL_INVALID = 1;
export const FAULT_TOO_MANY_NAMES = 2;
export const FAULT_NAME_TOO_LONG = 3;
export const FAULT_VALUE_TOO_LONG = 4;
export const FAULT_NO_NAME = 5;

// flags
/** Only within an edge: the scan left this series to JavaScript. */
export const FRAME_SLOW = 1;
/** In place of labels the series' key. */
export const FRAME_KEY = 2;
/** The kernel leaves the samples to JavaScript: rich ones (rich-samples.ts), or with FRAME_EXEMPLARS exemplars (frame-exemplars.ts). */
export const FRAME_ASIDE = 4;
export const FRAME_EXEMPLARS = 8;

/** A series' key. */
export const KEY_BYTES = 16;

// a sample
export const SAMPLE_BYTES = 16;
/** i64, Unix ms. */
export const SAMPLE_TIME_AT = 0;
/** u64, the value's bits. */
export const SAMPLE_VALUE_AT = 8;

// what of a frame was refused: one entry for each frame of which anything was
export const REFUSAL_BYTES = 32;
/** u32: number of the frame, from 0 on. */
export const REFUSAL_FRAME_AT = 0;
/** u32: why its first refused sample was, REFUSAL_SERIES + REFUSED_… or an answer (contract/ingest.ts). */
export const REFUSAL_REASON_AT = 4;
/** u32 */
export const REFUSAL_SAMPLES_AT = 8;
/** u32: those of them that are histograms. */
export const REFUSAL_HISTOGRAMS_AT = 12;
/** f64: time of its first refused sample, Unix ms. */
export const REFUSAL_TIME_AT = 16;
/** f64: newest time of its series. */
export const REFUSAL_NEWEST_AT = 24;
/** Added to the reason for which a new series is refused. */
export const REFUSAL_SERIES = 16;

/** Samples of a frame that is sent: what a shard appends in one go. */
export const SAMPLES_PER_FRAME_MAX = 8192;
