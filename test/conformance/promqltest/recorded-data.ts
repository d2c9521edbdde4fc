import { readFileSync } from 'node:fs';
import { isIntegerHistogram, toFloatHistogram } from '../../../src/model/histogram-integer.ts';
import { Labels, METRIC_NAME } from '../../../src/model/labels.ts';
import { unquote } from '../../../src/promql/parser/string.ts';
import { MemoryStorage } from '../../../src/ruler/unit-test/memory-storage.ts';
import { decodeRemoteWrite1 } from '../../../src/wire/remote-write-1.ts';
import { inflateSnappy } from '../../../src/wire/snappy.ts';

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+) (\d+)$/;

/** The data that the answers in `shared/conformance` were recorded on. */
export function loadRecordedData(folder: URL): MemoryStorage {
  const storage = new MemoryStorage();
  const labelsOf = new Map<string, Labels>();
  for (const line of readFileSync(new URL('data/data.om', folder), 'utf8').split('\n')) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, name, labelText = '', value, seconds] = match;
    const key = `${name}{${labelText}`;
    let labels = labelsOf.get(key);
    if (labels === undefined) {
      const entries = [...labelText.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)=("(?:[^"\\]|\\.)*")/g)];
      labels = Labels.fromEntries([
        [METRIC_NAME, name!],
        ...entries.map(([, label, quoted]) => [label!, unquote(quoted!)] as const),
      ]);
      labelsOf.set(key, labels);
    }
    storage.append(labels, Number(seconds) * 1000, { value: numberOf(value!) });
  }
  const body = inflateSnappy(readFileSync(new URL('data/extra-rw1.bin', folder)), 1 << 24, 'test');
  for (const { pairs, samples, histograms } of decodeRemoteWrite1(body).series) {
    const entries: [string, string][] = [];
    for (let i = 0; i < pairs.length; i += 2) entries.push([pairs[i]!, pairs[i + 1]!]);
    const labels = Labels.fromEntries(entries);
    for (let i = 0; i < samples.count; i++) {
      storage.append(labels, samples.times[i]!, samples.isStale(i) ? 'stale' : { value: samples.value(i) });
    }
    for (const { timeMs, histogram } of histograms) {
      storage.append(labels, timeMs, {
        histogram: isIntegerHistogram(histogram) ? toFloatHistogram(histogram) : histogram,
      });
    }
  }
  return storage;
}

function numberOf(text: string): number {
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  return Number(text);
}
