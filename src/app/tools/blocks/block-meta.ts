import { readFileSync } from 'node:fs';
import { BlockDamaged } from './block-file.ts';

export const META_FILE = 'meta.json';
const VERSION = 1;

/** A block's `meta.json`, as far as it is needed. */
export interface BlockMeta {
  readonly ulid: string;
  readonly minMs: number;
  /** Excluded. */
  readonly maxMs: number;
  readonly stats: { readonly numSamples: number; readonly numSeries: number; readonly numChunks: number };
}

/** @throws BlockDamaged */
export function readMeta(path: string): BlockMeta {
  const fail = (reason: string): never => {
    throw new BlockDamaged(path, 0, reason);
  };
  let parsed: Record<string, unknown>;
  try {
    parsed = Object(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail(error.message);
  }
  if (parsed.version !== VERSION) fail(`version ${JSON.stringify(parsed.version)}, known is ${VERSION}`);
  const whole = (from: Record<string, unknown>, name: string, otherwise?: number): number => {
    const value = from[name] ?? otherwise;
    return Number.isSafeInteger(value) ? (value as number) : fail(`${name} is ${JSON.stringify(value)}`);
  };
  const stats = Object(parsed.stats) as Record<string, unknown>;
  return {
    ulid: String(parsed.ulid),
    minMs: whole(parsed, 'minTime'),
    maxMs: whole(parsed, 'maxTime'),
    // Prometheus leaves out what is 0
    stats: {
      numSamples: whole(stats, 'numSamples', 0),
      numSeries: whole(stats, 'numSeries', 0),
      numChunks: whole(stats, 'numChunks', 0),
    },
  };
}

/** The text of a `meta.json` of a block that nothing was merged into. */
export function metaText({ ulid, minMs, maxMs, stats }: BlockMeta): string {
  const meta = {
    ulid,
    minTime: minMs,
    maxTime: maxMs,
    stats,
    compaction: { level: 1, sources: [ulid] },
    version: VERSION,
  };
  return `${JSON.stringify(meta, undefined, '\t')}\n`;
}
