// Bytes per sample of chunk groups by what they are spent on, and the speed of encoding and decoding.
//   node bench/workload.mjs /tmp/x --instances 12 --steps 1440 --start-ms 1767225600000
//   node bench/groups.ts /tmp/x [--windows 1]

import { ColumnSet, ColumnSetEncoder, decodeBytes } from '../src/chunk/group/column-set.ts';
import { GroupDecoder } from '../src/chunk/group/decode.ts';
import { GroupEncoder } from '../src/chunk/group/encode.ts';
import { compress, openBlock, parseHeader } from '../src/chunk/group/header.ts';
import { OpenGroup } from '../src/chunk/group/read.ts';
import { Kernel } from '../src/chunk/kernel.ts';
import { XorWriter } from '../src/chunk/xor.ts';
import { SampleColumns } from '../src/storage/columns.ts';
import { readWorkload, sliceWindow } from './read-workload.ts';

const [file, ...rest] = process.argv.slice(2);
const windows = Number(rest[rest.indexOf('--windows') + 1] ?? 1) || 1;
const WINDOW_MS = 7_200_000;
const all = readWorkload(file!);
const start = Math.floor(all[0]!.times[0]! / WINDOW_MS) * WINDOW_MS;

const KINDS = ['header', 'labels and series', 'times', 'values', 'histograms', 'starts', 'digests'];
const kernel = Kernel.create();
const encoder = new GroupEncoder(kernel);
const bytes = new Map<string, number>();
const raws = new Map<string, number>();
const speeds: Record<string, number> = {};
let samples = 0;
let blocks = 0;
const add = (map: Map<string, number>, key: string, more: number) => map.set(key, (map.get(key) ?? 0) + more);
const timed = <T>(what: string, run: () => T): T => {
  const from = performance.now();
  const result = run();
  speeds[what] = (speeds[what] ?? 0) + performance.now() - from;
  return result;
};

for (let w = 0; w < windows; w++) {
  const from = start + w * WINDOW_MS;
  const series = all.map((each) => sliceWindow(each, from, from + WINDOW_MS)).filter((each) => each.times.length > 0);
  const input = { windowStartMs: from, windowMs: WINDOW_MS, series, seriesDigests: true };
  if (w === 0) encoder.encode(input); // warm
  const group = timed('encode', () => encoder.encode(input));
  samples += group.sampleCount;
  const { header } = parseHeader(group.header, file!);
  add(bytes, 'header', group.header.length);
  add(raws, 'header', group.header.length);
  blocks += header.blocks.length;
  for (const block of header.blocks) {
    add(bytes, KINDS[block.kind]!, block.bytes);
    add(raws, KINDS[block.kind]!, block.rawBytes);
  }
  const out = new SampleColumns();
  for (let round = 0; round < 3; round++) {
    const suffix = round === 2 ? '' : ' (cold code)';
    timed(`zstd${suffix}`, () => {
      for (const block of header.blocks) {
        openBlock(block, group.body.subarray(block.offset, block.offset + block.bytes), file!);
      }
    });
    const decoder = new GroupDecoder(kernel);
    const open = new OpenGroup(decoder, header, file!);
    timed(`open${suffix}`, () => {
      for (const block of header.blocks) open.add(block, group.body.subarray(block.offset, block.offset + block.bytes));
    });
    timed(`decode${suffix}`, () => {
      for (let i = 0; i < header.seriesCount; i++) {
        out.clear();
        decoder.append(open.chunk(i), out);
      }
    });
  }
}
const total = [...bytes.values()].reduce((sum, each) => sum + each, 0);
console.table(
  KINDS.filter((kind) => bytes.has(kind)).map((kind) => ({
    part: kind,
    'raw bytes': raws.get(kind),
    bytes: bytes.get(kind),
    'bytes/sample': +(bytes.get(kind)! / samples).toFixed(4),
    share: `${((100 * bytes.get(kind)!) / total).toFixed(1)} %`,
  })),
);
console.log(`${samples} samples, ${blocks} sub-blocks, ${(total / samples).toFixed(4)} bytes/sample`);
console.table(
  Object.entries(speeds).map(([what, ms]) => ({
    what,
    ms: +ms.toFixed(1),
    'ns/sample': +((ms * 1e6) / samples).toFixed(2),
  })),
);

// The kernel's own time: columns of one window decoded again and again, beside the same samples as XOR chunks.
const series = all.map((each) => sliceWindow(each, start, start + WINDOW_MS)).filter((each) => each.times.length > 0);
const room = decodeBytes(65536);
const [out, times, scratch] = [room, room, room].map((size) => kernel.reserve(size));
const kindOf = (values: Float64Array) =>
  values.every((value) => value === values[0]) ? 'constant' : values.every(Number.isInteger) ? 'integers' : 'floats';
const rows = [];
const samplesOfWindow = series.reduce((sum, each) => sum + each.times.length, 0);
for (const [kind, part] of [['all', series] as const, ...Map.groupBy(series, (each) => kindOf(each.values))]) {
  const count = part.reduce((sum, each) => sum + each.times.length, 0);
  const columns = new ColumnSetEncoder(kernel);
  const sets: ColumnSet[] = [];
  let stored = 0;
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < part.length; i += 256) {
    const run = part.slice(i, i + 256);
    columns.begin(
      run.length,
      run.reduce((sum, each) => sum + each.times.length, 0),
    );
    for (const { values } of run) columns.add(values);
    const set = new ColumnSet(kernel);
    const counts = Uint32Array.from(run, (each) => each.values.length);
    const block = columns.finish();
    stored += compress(block).length;
    set.load(
      block,
      counts,
      Float64Array.from(run, (each) => each.values[0]!),
    );
    sets.push(set);
  }
  for (const each of part) {
    const writer = XorWriter.create();
    each.times.forEach((time, i) => {
      writer.append(time, each.values[i]!);
    });
    chunks.push(writer.toBytes());
  }
  const best = (run: () => void) => {
    let least = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 10; round++) {
      const from = performance.now();
      run();
      least = Math.min(least, performance.now() - from);
    }
    return (least * 1e6) / count;
  };
  const cold = best(() => {
    for (const set of sets) for (let i = 0; i < set.counts.length; i++) set.decode(i, out!, scratch!);
  });
  const places: [number, number][] = [];
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length + 64, 0);
  let at = kernel.reserve(bytes);
  for (const chunk of chunks) {
    kernel.u8.set(chunk, at);
    places.push([at, chunk.length]);
    at += chunk.length + 64;
  }
  const xor = best(() => {
    for (const [from, length] of places) kernel.exports.xorDecode(from, length, times!, out!, 65535);
  });
  rows.push({
    kind,
    series: part.length,
    samples: count,
    'value bytes': stored,
    'bytes/sample of all': +(stored / samplesOfWindow).toFixed(4),
    'cold ns/sample': +cold.toFixed(2),
    'XOR ns/sample': +xor.toFixed(2),
    ratio: +(xor / cold).toFixed(1),
  });
}
console.table(rows);
