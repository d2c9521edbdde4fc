import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { getOrMake } from '../../src/lib/map.ts';
import { push, writeBody } from '../harness/remote-write.ts';

/** Recorded answers of Prometheus 3.14, and the data they were recorded on. Not part of the repository. */
export const conformanceFolder = resolve(import.meta.dirname, '../../../shared/conformance');

export const skipWithoutConformance = existsSync(conformanceFolder) ? false : `${conformanceFolder} is missing`;

/** The lines of a `.jsonl` file. */
export function readCases<T>(name: string): T[] {
  return readFileSync(join(conformanceFolder, 'vectors', name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): T => JSON.parse(line));
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+) (\d+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const STEPS_PER_REQUEST = 30;

/** Sends `data/data.om` (in the order of time) and `data/extra-rw1.bin`. @param url of the write endpoint */
export async function loadConformanceData(url: string): Promise<void> {
  const labelsOf = new Map<string, Record<string, string>>();
  const steps = new Map<number, [series: string, value: number][]>();
  for (const line of readFileSync(join(conformanceFolder, 'data/data.om'), 'utf8').split('\n')) {
    const [, name, labels = '', value, second] = LINE.exec(line) ?? [];
    if (name === undefined) continue;
    const key = `${name}{${labels}}`;
    getOrMake(labelsOf, key, () => ({
      __name__: name,
      ...Object.fromEntries([...labels.matchAll(LABEL)].map(([, label, text]) => [label!, unescapeValue(text!)])),
    }));
    getOrMake(steps, Number(second), () => []).push([key, Number(value!.replace(/Inf$/, 'Infinity'))]);
  }
  const times = [...steps.keys()].sort((a, b) => a - b);
  for (let i = 0; i < times.length; i += STEPS_PER_REQUEST) {
    const series = new Map<string, [number, number][]>();
    for (const time of times.slice(i, i + STEPS_PER_REQUEST)) {
      for (const [key, value] of steps.get(time)!) getOrMake(series, key, () => []).push([time * 1000, value]);
    }
    await send(url, writeBody([...series].map(([key, samples]) => ({ labels: labelsOf.get(key)!, samples }))));
  }
  await send(url, readFileSync(join(conformanceFolder, 'data/extra-rw1.bin')));
}

async function send(url: string, body: Uint8Array): Promise<void> {
  const { status, text } = await push(url, body);
  if (status >= 300) throw new Error(`loading the conformance data: ${status} ${text}`);
}

function unescapeValue(text: string): string {
  return text.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
}
