import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { deflateSnappy } from '../../src/wire/snappy.ts';

/** A compressed `prometheus.ReadRequest` for every series of the hour before `nowMs`. */
export function readEverything(nowMs: number): Uint8Array {
  const out = new BinaryWriter();
  out.tag(1, WireType.LengthDelimited).fork();
  out.tag(1, WireType.Varint).int64(nowMs - 3_600_000);
  out.tag(2, WireType.Varint).int64(nowMs + 60_000);
  out.tag(3, WireType.LengthDelimited).fork();
  out.tag(1, WireType.Varint).uint32(2); // =~
  out.tag(2, WireType.LengthDelimited).string('__name__');
  out.tag(3, WireType.LengthDelimited).string('.+');
  return deflateSnappy(out.join().join().finish());
}
