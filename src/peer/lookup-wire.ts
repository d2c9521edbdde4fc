import type { QueryUse } from '../contract/query.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import { inTurns, type Turns } from '../lib/turns.ts';
import { Labels } from '../model/labels.ts';
import { LabelMatcher, type MatchOp } from '../model/matcher.ts';
import { compileRegex, compiling, keptLengthMax, type Regex } from '../model/regex/regex.ts';
import type { MissingPart } from '../storage/missing.ts';
import { missingOf, timesOf, usedOf } from './query-wire.ts';
import {
  boolOf,
  bytesOf,
  countOf,
  type Fields,
  fieldsOf,
  listOf,
  optional,
  textOf,
  textsOf,
  wrongShape,
} from './shapes.ts';

// Look-ups of series, names of labels and their values between processes (docs/formats/rpc.md). What is found comes in blocks, so that no
// thread is held up by encoding or decoding all of it.

const TEXT_CHARS_MAX = 4 * 1024 * 1024;
const LIST_MAX = 100_000;
/** Values or series of a block. */
const BLOCK_ITEMS = 1024;

/** A look-up, as it is asked. */
export interface AskedLookup {
  readonly method: 'series' | 'labelNames' | 'labelValues';
  /** Name of the label whose values are asked for; else empty. */
  readonly name: string;
  readonly matchers: readonly (readonly AskedMatcher[])[];
  /** Unix ms, both ends inclusive. */
  readonly startMs: number;
  readonly endMs: number;
  /** 0: all. */
  readonly limit: number;
  readonly allowPartial: boolean;
  /** Counts against the limits: what other parts have used already. */
  readonly used: QueryUse;
}

/** Name, operator, value. */
export type AskedMatcher = readonly [string, MatchOp, string];

export interface Found {
  /** Values ascending; or series ascending, each as name, value, … */
  readonly items: readonly string[] | readonly (readonly string[])[];
  readonly warnings: readonly string[];
  readonly missing: readonly MissingPart[];
  /** Use of this look-up alone. */
  readonly used: QueryUse;
  /** Series that were counted. */
  readonly series: number;
}

const METHODS = ['series', 'labelNames', 'labelValues'] as const;
const OPERATORS: readonly MatchOp[] = ['=', '!=', '=~', '!~'];

/** @throws peerMessageInvalid */
export function lookupOf(fields: Fields): AskedLookup {
  const { method, name, matchers, limit, allowPartial, used } = fields;
  const own = METHODS.find((each) => each === method);
  if (own === undefined) throw wrongShape('method');
  return {
    method: own,
    name: textOf(name, 'name', TEXT_CHARS_MAX),
    matchers: listOf(matchers, 'matchers', LIST_MAX, (list) => listOf(list, 'matchers', LIST_MAX, matcherOf)),
    ...timesOf(fields),
    limit: countOf(limit, 'limit'),
    allowPartial: boolOf(allowPartial, 'allowPartial'),
    used: usedOf(used),
  };
}

function matcherOf(value: unknown): AskedMatcher {
  const [name, op, text] = textsOf(value, 'matcher', TEXT_CHARS_MAX);
  const own = OPERATORS.find((each) => each === op);
  if (name === undefined || text === undefined || own === undefined) throw wrongShape('matcher');
  return [name, own, text];
}

export function askedMatchers(matchers: readonly LabelMatcher[]): readonly AskedMatcher[] {
  return matchers.map(({ name, op, value }) => [name, op, value]);
}

/** The matchers of a list; long patterns are compiled in turns. */
export async function matchersOf(asked: readonly AskedMatcher[], turns: Turns): Promise<LabelMatcher[]> {
  const matchers: LabelMatcher[] = [];
  for (const [name, op, value] of asked) {
    if (turns.due) await turns.pause();
    const isPattern = op === '=~' || op === '!~';
    const regex: Regex | undefined = isPattern
      ? value.length <= keptLengthMax
        ? compileRegex(value)
        : await inTurns(compiling(value), turns)
      : undefined;
    matchers.push(regex === undefined ? LabelMatcher.of(name, op, value) : LabelMatcher.withRegex(name, op, regex));
  }
  return matchers;
}

export async function encodeFound({ items, ...told }: Found, turns: Turns): Promise<Uint8Array> {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < items.length; at += BLOCK_ITEMS) {
    if (turns.due) await turns.pause();
    blocks.push(encodeValue(items.slice(at, at + BLOCK_ITEMS)));
  }
  return encodeValue({ ...told, blocks });
}

interface FoundHead {
  readonly blocks: readonly Uint8Array[];
  readonly warnings: readonly string[];
  readonly missing: readonly MissingPart[];
  readonly used: QueryUse;
  readonly series: number;
}

/** All that was found, as it came. @throws peerMessageInvalid */
export function foundHeadOf(bytes: Uint8Array): FoundHead {
  const { blocks, warnings, missing, used, series } = fieldsOf(decodeValue(bytes), 'found');
  return {
    blocks: listOf(blocks, 'blocks', Number.POSITIVE_INFINITY, (each) => bytesOf(each, 'block')),
    warnings: textsOf(warnings, 'warnings', TEXT_CHARS_MAX),
    missing: optional(missing, (each) => listOf(each, 'missing', LIST_MAX, missingOf)) ?? [],
    used: usedOf(used),
    series: countOf(series, 'series'),
  };
}

/** @throws peerMessageInvalid */
export async function foundValues({ blocks }: FoundHead, turns: Turns): Promise<readonly string[]> {
  const all: string[] = [];
  for (const block of blocks) {
    if (turns.due) await turns.pause();
    for (const value of textsOf(decodeValue(block), 'values', TEXT_CHARS_MAX)) all.push(value);
  }
  return all;
}

/** @throws peerMessageInvalid */
export async function foundSeries({ blocks }: FoundHead, turns: Turns): Promise<readonly Labels[]> {
  const all: Labels[] = [];
  for (const block of blocks) {
    if (turns.due) await turns.pause();
    const list = listOf(decodeValue(block), 'series', BLOCK_ITEMS, (each) => textsOf(each, 'labels', TEXT_CHARS_MAX));
    for (const pairs of list) {
      if (pairs.length % 2 !== 0) throw wrongShape('labels');
      all.push(Labels.fromSortedPairs(pairs));
    }
  }
  return all;
}
