// Bytes of groups and rows are read and written as those of every other format.
export { ByteReader, BytesError, ByteWriter } from '../../lib/bytes.ts';
