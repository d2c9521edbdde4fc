// Bytes per sample of chunk groups by what they are spent on, and the speed of encoding and decoding.
//   node bench/workload.mjs /tmp/x --instances 12 --steps 1440 --start-ms 1767225600000
//   node bench/groups.ts /tmp/x [--windows 1]
import { GroupDecoder } from '../src/chunk/group/decode.ts';
import { GroupEncoder } from '../src/chunk/group/encode.ts';
import { openBlock, parseHead } from '../src/chunk/group/head.ts';
import { OpenGroup } from '../src/chunk/group/read.ts';
import { Kernel } from '../src/chunk/kernel.ts';
import { SampleColumns } from '../src/storage/columns.ts';
import { readWorkload, sliceWindow } from './read-workload.ts';

const [file, ...rest] = process.argv.slice(2);
const windows = Number(rest[rest.indexOf('--windows') + 1] ?? 1) || 1;
const WINDOW_MS = 7_200_000;
const all = readWorkload(file!);
const start = Math.floor(all[0]!.times[0]! / WINDOW_MS) * WINDOW_MS;

const KINDS = ['head', 'labels and series', 'times', 'values', 'histograms', 'starts', 'digests'];
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
  const { head } = parseHead(group.head, file!);
  add(bytes, 'head', group.head.length);
  add(raws, 'head', group.head.length);
  blocks += head.blocks.length;
  for (const block of head.blocks) {
    add(bytes, KINDS[block.kind]!, block.bytes);
    add(raws, KINDS[block.kind]!, block.rawBytes);
  }
  const out = new SampleColumns();
  for (let round = 0; round < 3; round++) {
    const suffix = round === 2 ? '' : ' (cold code)';
    timed(`zstd${suffix}`, () => {
      for (const block of head.blocks) {
        openBlock(block, group.body.subarray(block.offset, block.offset + block.bytes), file!);
      }
    });
    const decoder = new GroupDecoder(kernel);
    const open = new OpenGroup(decoder, head, file!);
    timed(`open${suffix}`, () => {
      for (const block of head.blocks) open.add(block, group.body.subarray(block.offset, block.offset + block.bytes));
    });
    timed(`decode${suffix}`, () => {
      for (let i = 0; i < head.seriesCount; i++) {
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
