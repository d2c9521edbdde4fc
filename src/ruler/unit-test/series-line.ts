import {
  CUSTOM_BUCKETS_SCHEMA,
  type FloatHistogram,
  floatHistogram,
  type ResetHint,
  type Span,
} from '../../model/histogram.ts';
import { addHistograms, subtractHistograms } from '../../model/histogram-add.ts';
import { Labels, METRIC_NAME } from '../../model/labels.ts';
import { parseDuration } from '../../promql/parser/duration.ts';
import { parseNumber } from '../../promql/parser/number.ts';
import { unquote } from '../../promql/parser/string.ts';

/** One position of a series line; `undefined` where there is no sample. */
export type Item = { readonly value: number } | { readonly histogram: FloatHistogram } | 'stale' | undefined;

/** `name{labels} values…` */
export interface SeriesLine {
  readonly labels: Labels;
  readonly items: readonly Item[];
  /** The start timestamp of each position, relative to its own time; `undefined` where unknown. */
  readonly starts: readonly (number | undefined)[] | undefined;
  /** `name{labels}@st offsets…`: only `starts` holds. */
  readonly isStarts: boolean;
}

/** Whether an expected histogram names its reset hint. */
const hinted = new WeakSet<FloatHistogram>();

export function namesHint(histogram: FloatHistogram): boolean {
  return hinted.has(histogram);
}

/** A text that is no series line. */
export class SeriesLineError extends Error {
  /** Where in the line, counted from 0; undefined where it is no one place. */
  readonly at: number | undefined;

  constructor(message: string, at?: number) {
    super(message);
    this.at = at;
  }
}

/** Items of one line; a repetition is short to write. */
const itemsMax = 1_000_000;

/** @throws SeriesLineError */
export function parseSeriesLine(line: string): SeriesLine {
  const cursor = new LineCursor(line);
  const labels = parseLabels(cursor);
  const isStarts = cursor.take(/@st\b/y) !== undefined;
  const items: Item[] = [];
  const starts: (number | undefined)[] = [];
  for (;;) {
    cursor.take(/\s+/y);
    if (cursor.done) break;
    if (isStarts) for (const start of parseStarts(cursor)) starts.push(start);
    else for (const item of parseItems(cursor)) items.push(item);
    if (items.length > itemsMax || starts.length > itemsMax) throw tooMany(line);
  }
  return { labels, items, starts: isStarts ? starts : undefined, isStarts };
}

class LineCursor {
  readonly text: string;
  #at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get done(): boolean {
    return this.#at >= this.text.length;
  }

  /** @param pattern sticky */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match[0];
  }

  expect(pattern: RegExp, what: string): string {
    const taken = this.take(pattern);
    if (taken === undefined) {
      throw new SeriesLineError(`expected ${what} at ${this.#at + 1} of: ${this.text}`, this.#at);
    }
    return taken;
  }
}

const STRING = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/y;

function parseLabels(cursor: LineCursor): Labels {
  const entries: [string, string][] = [];
  const name = cursor.take(/[\p{L}_:][\p{L}\d_:.]*/uy);
  if (name !== undefined) entries.push([METRIC_NAME, name]);
  if (cursor.take(/\s*\{(?!\{)/y) !== undefined) {
    for (;;) {
      cursor.take(/\s+/y);
      if (cursor.take(/\}/y) !== undefined) break;
      const quoted = cursor.take(STRING);
      const label = quoted === undefined ? cursor.expect(/[\p{L}_][\p{L}\d_.]*/uy, 'a label name') : unquote(quoted);
      if (cursor.take(/\s*=\s*/y) !== undefined) {
        entries.push([label, unquote(cursor.expect(STRING, 'a label value'))]);
      } else {
        entries.push([METRIC_NAME, label]);
      }
      cursor.take(/\s*,/y);
    }
  }
  return Labels.fromEntries(entries);
}

const NUMBER = /[+-]?(?:(?:inf|nan)\b|(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?)/iy;

function parseItems(cursor: LineCursor): Item[] {
  if (cursor.take(/_(?=x|\s|$)/y) !== undefined) {
    return new Array<Item>(repetitions(cursor) ?? 1).fill(undefined);
  }
  if (cursor.take(/stale\b/y) !== undefined) return ['stale'];
  if (cursor.take(/\{\{/y) !== undefined) return parseHistograms(cursor);
  const value = number(cursor.expect(NUMBER, 'a value'));
  const sign = cursor.take(/[+-](?=[\d.in])/iy);
  const increment = sign === undefined ? 0 : number(cursor.expect(NUMBER, 'an increment'));
  const times = repetitions(cursor);
  if (sign !== undefined && times === undefined) cursor.expect(/x\d+/y, 'a repetition');
  const items: Item[] = [{ value }];
  let last = value;
  for (let i = 0; i < (times ?? 0); i++) {
    if (sign === '+') last += increment;
    else if (sign === '-') last -= increment;
    items.push({ value: last });
  }
  return items;
}

function tooMany(line: string): SeriesLineError {
  return new SeriesLineError(`limit of ${itemsMax} samples of a series exceeded in: ${line.slice(0, 200)}`);
}

function number(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  return sign * parseNumber(text.replace(/^[+-]/, ''));
}

function repetitions(cursor: LineCursor): number | undefined {
  const taken = cursor.take(/x\d+/y);
  if (taken === undefined) return undefined;
  const times = Number(taken.slice(1));
  if (times > itemsMax) throw tooMany(cursor.text);
  return times;
}

function parseHistograms(cursor: LineCursor): Item[] {
  const first = parseHistogram(cursor);
  const sign = cursor.take(/[+-]\{\{/y);
  const increment = sign === undefined ? undefined : parseHistogram(cursor);
  const times = repetitions(cursor);
  const items: Item[] = [{ histogram: first }];
  let last = first;
  for (let i = 0; i < (times ?? 0); i++) {
    if (increment !== undefined) {
      if (last.schema > increment.schema) {
        throw new SeriesLineError(`cannot merge from schema ${increment.schema} to ${last.schema}`);
      }
      const next = sign!.startsWith('+') ? addHistograms(last, increment) : subtractHistograms(last, increment);
      if (next === undefined) throw new SeriesLineError(`histograms do not go together in: ${cursor.text}`);
      const isHinted = hinted.has(last);
      last = next.histogram;
      if (isHinted) hinted.add(last);
    }
    items.push({ histogram: last });
  }
  return items;
}

/** Behind `{{`, with the closing braces. */
function parseHistogram(cursor: LineCursor): FloatHistogram {
  const numbers = new Map<string, number>();
  const lists = new Map<string, number[]>();
  let resetHint: ResetHint | undefined;
  for (;;) {
    cursor.take(/\s+/y);
    if (cursor.take(/\}\}/y) !== undefined) break;
    const key = cursor.expect(/[a-z_]+/y, 'a histogram key');
    cursor.expect(/:/y, ':');
    if (key === 'counter_reset_hint') {
      resetHint = cursor.expect(/unknown|not_reset|reset|gauge/y, 'a reset hint') as ResetHint;
    } else if (cursor.take(/\[/y) !== undefined) {
      const list: number[] = [];
      for (;;) {
        cursor.take(/\s+/y);
        if (cursor.take(/\]/y) !== undefined) break;
        list.push(number(cursor.expect(NUMBER, 'a number')));
      }
      lists.set(key, list);
    } else {
      numbers.set(key, number(cursor.expect(NUMBER, 'a number')));
    }
  }
  const schema = numbers.get('schema') ?? 0;
  const positiveBuckets = lists.get('buckets') ?? [];
  const negativeBuckets = lists.get('n_buckets') ?? [];
  const histogram = floatHistogram({
    resetHint: resetHint ?? 'unknown',
    schema,
    zeroThreshold: numbers.get('z_bucket_w') ?? 0,
    zeroCount: numbers.get('z_bucket') ?? 0,
    count: numbers.get('count') ?? 0,
    sum: numbers.get('sum') ?? 0,
    positiveSpans: spans(numbers.get('offset') ?? 0, positiveBuckets.length),
    positiveBuckets,
    negativeSpans: spans(numbers.get('n_offset') ?? 0, negativeBuckets.length),
    negativeBuckets,
    customValues: schema === CUSTOM_BUCKETS_SCHEMA ? (lists.get('custom_values') ?? []) : [],
  });
  if (resetHint !== undefined) hinted.add(histogram);
  return histogram;
}

function spans(offset: number, length: number): Span[] {
  return length === 0 ? [] : [{ offset, length }];
}

/** `-1m`, `-1mxN`, `-1m-30sxN`, `_xN`: offsets in ms. */
function parseStarts(cursor: LineCursor): (number | undefined)[] {
  if (cursor.take(/_(?=x|\s|$)/y) !== undefined) {
    return new Array<undefined>(repetitions(cursor) ?? 1).fill(undefined);
  }
  const offsetMs = signedDuration(cursor);
  const incrementMs = cursor.take(/(?=[+-])/y) === undefined ? 0 : signedDuration(cursor);
  const times = repetitions(cursor) ?? 0;
  return Array.from({ length: times + 1 }, (_, i) => offsetMs + i * incrementMs);
}

function signedDuration(cursor: LineCursor): number {
  const text = cursor.expect(/[+-]?(?:(?:\d+(?:ms|[smhdwy]))+|0)/y, 'a duration');
  const ms = /^[+-]?0$/.test(text) ? 0 : parseDurationOrZero(text.replace(/^[+-]/, ''));
  return text.startsWith('-') ? -ms : ms;
}

function parseDurationOrZero(text: string): number {
  return /^0+(?:ms|[smhdwy])$/.test(text) ? 0 : parseDuration(text);
}
