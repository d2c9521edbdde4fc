// The bytes of a record's header, said once: the kernel (AssemblyScript) compiles this file too, so it holds plain numbers and imports
// nothing. docs/formats/wal.md draws it.

export const RECORD_HEADER_BYTES = 32;

/** u32 */
export const RECORD_MAGIC_AT = 0;
/** 7f 'W' 'A' 'L' */
export const RECORD_MAGIC = 0x4c41577f;
/** u32, of the payload. */
export const RECORD_BYTES_AT = 4;
/** u64 */
export const RECORD_LSN_AT = 8;
/** u8, then three zeros. */
export const RECORD_TYPE_AT = 16;
// the sums follow; only the kernel looks at them

/** A file begins with so many bytes of text; those of this version go on with eight that only the folder's key makes of it. */
export const FILE_TEXT_BYTES = 16;
export const FILE_HEADER_BYTES = 24;

// the first version: no key, one sum of header and payload, other fields where they are now
export const OLD_RECORD_HEADER_BYTES = 24;

/** Size at which writers begin another record. */
export const RECORD_BYTES_AIMED = 1024 * 1024;
