import { isIP } from 'node:net';
import { Budget, defaultLimits, type TemplateLimits } from './budget.ts';
import { escapeQuery } from './builtins.ts';
import { type Bytes, bytesOf, textOf } from './bytes.ts';
import { toLower, toTitle, toUpper } from './case.ts';
import { parseDurationSeconds } from './duration.ts';
import { HTML } from './html/escapers.ts';
import {
  humanize,
  humanize1024,
  humanizeDuration,
  humanizePercentage,
  humanizeTimestamp,
  toFloat,
  toInt64,
  toTime,
} from './humanize.ts';
import { TemplateError } from './parser.ts';
import { matches, replaceAll } from './regexp.ts';
import { Templates } from './templates.ts';
import { DURATION, duration, TIME } from './time.ts';
import {
  ANY,
  ANY_MAP,
  BOOL,
  CallError,
  FLOAT64,
  type Func,
  list,
  type MapValue,
  map,
  pointer,
  pointerTo,
  STRING,
  STRING_MAP,
  type StructValue,
  stringOf,
  struct,
  type Type,
  type Value,
} from './value.ts';

/** Templates in alerting rules: the functions and data that Prometheus gives them. */

/** A series at one time. A histogram is given as Prometheus prints it. */
export interface TemplateSample {
  readonly labels: Iterable<readonly [name: string, value: string]>;
  readonly value: number | { readonly histogram: string };
}

export interface AlertTemplateData extends TemplateSample {
  readonly externalLabels: Iterable<readonly [name: string, value: string]>;
}

export interface AlertTemplateContext {
  /** The time of the evaluation, Unix ms. */
  readonly timeMs: number;
  /** The address of the server, as users reach it. */
  readonly externalUrl: string;
  query(expression: string): Promise<readonly TemplateSample[]>;
  readonly nowMs: () => number;
  readonly limits?: TemplateLimits;
  /** Queries of one template. */
  readonly queriesMax?: number;
}

/** Variables that stand in front of each template of an alert. */
const DEFINITIONS =
  '{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}';
const queriesMaxDefault = 100;

const SAMPLE: Type = {
  kind: 'struct',
  name: 'template.sample',
  fields: [
    { name: 'Labels', type: STRING_MAP },
    { name: 'Value', type: ANY },
  ],
};
const SAMPLE_POINTER = pointerTo(SAMPLE);
const QUERY_RESULT: Type = { kind: 'list', name: 'template.queryResult', elem: SAMPLE_POINTER };
const ALERT_DATA: Type = {
  kind: 'struct',
  name: 'struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }',
  fields: [
    { name: 'Labels', type: STRING_MAP },
    { name: 'ExternalLabels', type: STRING_MAP },
    { name: 'ExternalURL', type: STRING },
    { name: 'Value', type: ANY },
  ],
};
const HISTOGRAM: Type = {
  kind: 'struct',
  name: 'histogram.FloatHistogram',
  fields: [{ name: 'text', type: STRING }],
  methods: new Map([['String', { in: [], out: STRING, call: (receiver) => (receiver as StructValue).fields[0] }]]),
};
const HISTOGRAM_POINTER = pointerTo(HISTOGRAM);

/** A template asked for a query's result, which is not there yet. */
class QueryNeeded extends Error {
  readonly expression: string;

  constructor(expression: string) {
    super('query needed');
    this.expression = expression;
  }
}

type Results = ReadonlyMap<string, readonly TemplateSample[] | Error>;

/** Templates that were read last, the oldest first: a rule expands the same ones for each of its alerts. */
const parsed = new Map<string, { readonly templates: Templates; readonly limits: TemplateLimits }>();
const PARSED_MAX = 128;
const PARSED_TEXT_LENGTH_MAX = 4096;

/** @throws TemplateError */
function parsedOnce(name: string, text: string, limits: TemplateLimits): Templates {
  const key = `${name}\0${text}`;
  const known = parsed.get(key);
  if (known !== undefined && known.limits === limits) return known.templates;
  const templates = Templates.of({ ...OPTIONS, limits }).with(name, DEFINITIONS + text);
  if (key.length > PARSED_TEXT_LENGTH_MAX) return templates;
  parsed.delete(key);
  parsed.set(key, { templates, limits });
  if (parsed.size > PARSED_MAX) parsed.delete(parsed.keys().next().value!);
  return templates;
}

/** Expands the templates of one alert. */
export class AlertExpander {
  readonly #name: string;
  readonly #data: AlertTemplateData;
  readonly #context: AlertTemplateContext;
  #value: Value | undefined;

  constructor(alertName: string, data: AlertTemplateData, context: AlertTemplateContext) {
    this.#name = `__alert_${alertName}`;
    this.#data = data;
    this.#context = context;
  }

  /**
   * A template of the alert, expanded. Templates run without waiting; one that queries is run again with each result it
   * asked for, until it asks for no other.
   * @throws TemplateError with the text that Prometheus shows
   */
  async expand(text: string): Promise<string> {
    const { limits = defaultLimits, queriesMax = queriesMaxDefault, timeMs, externalUrl, nowMs } = this.#context;
    const name = this.#name;
    const results = new Map<string, readonly TemplateSample[] | Error>();
    this.#value ??= dataOf(this.#data, externalUrl);
    let templates: Templates;
    try {
      templates = parsedOnce(name, text, limits);
    } catch (thrown) {
      throw wrapped(thrown, `error parsing template ${name}`);
    }
    for (;;) {
      running = { timeMs, externalUrl, results };
      try {
        return templates.text(name, this.#value, new Budget(limits, nowMs));
      } catch (thrown) {
        if (!(thrown instanceof QueryNeeded)) throw wrapped(thrown, `error executing template ${name}`);
        if (results.size >= queriesMax) {
          const limit = `limit of ${queriesMax} queries exceeded (template_queries_max)`;
          throw new TemplateError(`error executing template ${name}: ${limit}`);
        }
        results.set(thrown.expression, await resultOf(this.#context, thrown.expression));
      }
    }
  }
}

/** @throws TemplateError with the text that Prometheus shows */
export function expandAlert(
  alertName: string,
  text: string,
  data: AlertTemplateData,
  context: AlertTemplateContext,
): Promise<string> {
  return new AlertExpander(alertName, data, context).expand(text);
}

/**
 * Whether a template of an alert can be parsed.
 * @throws TemplateError
 */
export function checkAlertTemplate(alertName: string, text: string): void {
  Templates.of({ ...OPTIONS, limits: defaultLimits }).with(`__alert_${alertName}`, DEFINITIONS + text);
}

function wrapped(thrown: unknown, where: string): unknown {
  return thrown instanceof TemplateError ? new TemplateError(`${where}: ${thrown.message}`) : thrown;
}

/** A query that fails fails the call of `query`, not the expansion as such. */
async function resultOf(context: AlertTemplateContext, expression: string): Promise<readonly TemplateSample[] | Error> {
  try {
    return await context.query(expression);
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}

function dataOf(data: AlertTemplateData, externalUrl: string): Value {
  const { labels, externalLabels, value } = data;
  return struct(ALERT_DATA, [labelMap(labels), labelMap(externalLabels), bytesOf(externalUrl), numberOf(value)]);
}

function labelMap(labels: Iterable<readonly [string, string]>): MapValue {
  const entries = new Map<Bytes, Value>();
  for (const [name, value] of labels) entries.set(bytesOf(name), bytesOf(value));
  return map(entries, STRING_MAP);
}

function numberOf(value: TemplateSample['value']): Value {
  return typeof value === 'number' ? value : pointer(struct(HISTOGRAM, [bytesOf(value.histogram)]), HISTOGRAM_POINTER);
}

function sampleOf({ labels, value }: TemplateSample): Value {
  return pointer(struct(SAMPLE, [labelMap(labels), numberOf(value)]), SAMPLE_POINTER);
}

function itemsOf(value: Value): readonly Value[] {
  return typeof value === 'object' && value.tag === 'list' ? value.items : [];
}

/** @throws CallError as a nil pointer does */
function sampleFields(value: Value): { readonly labels: MapValue; readonly value: Value } {
  const target = typeof value === 'object' && value.tag === 'pointer' ? value.target : undefined;
  if (target === undefined) throw new CallError('runtime error: invalid memory address or nil pointer dereference');
  const [labels, number] = (target as StructValue).fields;
  return { labels: labels as MapValue, value: number };
}

function labelOf(sample: Value, name: Bytes): Bytes {
  return stringOf(sampleFields(sample).labels.entries.get(name)) ?? '';
}

function func(types: readonly Type[], out: Type, call: Func['call']): Func {
  return { in: types, out, call };
}

/** A function of one argument, a string. */
function ofString(out: Type, call: (bytes: Bytes) => Value): Func {
  return func([STRING], out, ([given], budget) => {
    const bytes = stringOf(given)!;
    budget.make(bytes.length);
    return call(bytes);
  });
}

/** A function of one argument that is or reads as a number. */
function ofNumber(out: Type, call: (value: number) => Value): Func {
  return func([ANY], out, ([value]) => call(toFloat(value)));
}

/** Facts of an execution that functions know: it runs without waiting, so there is one at a time. */
interface Execution {
  readonly timeMs: number;
  readonly externalUrl: string;
  readonly results: Results;
}

let running: Execution = { timeMs: 0, externalUrl: '', results: new Map() };

function prometheusFunctions(): ReadonlyMap<string, Func> {
  return new Map<string, Func>([
    [
      'query',
      func([STRING], QUERY_RESULT, ([given], budget) => {
        const expression = textOf(stringOf(given)!);
        const result = running.results.get(expression);
        if (result === undefined) throw new QueryNeeded(expression);
        if (result instanceof Error) throw new CallError(bytesOf(result.message));
        budget.make(result.length * 64);
        return list(result.map(sampleOf), QUERY_RESULT);
      }),
    ],
    [
      'first',
      func([QUERY_RESULT], SAMPLE_POINTER, ([result]) => {
        const [first] = itemsOf(result);
        if (first === undefined) throw new CallError('first() called on vector with no elements');
        return first;
      }),
    ],
    ['label', func([STRING, SAMPLE_POINTER], STRING, ([name, sample]) => labelOf(sample, stringOf(name)!))],
    ['value', func([SAMPLE_POINTER], ANY, ([sample]) => sampleFields(sample).value)],
    ['strvalue', func([SAMPLE_POINTER], STRING, ([sample]) => labelOf(sample, '__value__'))],
    [
      'args',
      {
        ...func([ANY], ANY_MAP, (args) => map(new Map(args.map((arg, i) => [`arg${i}`, arg])), ANY_MAP)),
        variadic: true,
      },
    ],
    [
      'sortByLabel',
      func([STRING, QUERY_RESULT], QUERY_RESULT, ([name, result], budget) => {
        const items = itemsOf(result);
        budget.make(items.length * 16);
        const keyed = items.map((item) => ({ item, key: labelOf(item, stringOf(name)!) }));
        keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
        return list(
          keyed.map(({ item }) => item),
          QUERY_RESULT,
        );
      }),
    ],
    [
      'reReplaceAll',
      func([STRING, STRING, STRING], STRING, ([pattern, template, text], budget) =>
        replaceAll(stringOf(pattern)!, stringOf(template)!, stringOf(text)!, budget),
      ),
    ],
    [
      'match',
      func([STRING, STRING], BOOL, ([pattern, text], budget) => matches(stringOf(pattern)!, stringOf(text)!, budget)),
    ],
    ['safeHtml', ofString(HTML, (bytes) => ({ tag: 'string', type: HTML, bytes }))],
    ['title', ofString(STRING, (bytes) => toTitle(bytes, false))],
    ['toUpper', ofString(STRING, toUpper)],
    ['toLower', ofString(STRING, toLower)],
    ['graphLink', ofString(STRING, (expression) => `/graph?g0.expr=${escapeQuery(expression)}&g0.tab=0`)],
    ['tableLink', ofString(STRING, (expression) => `/graph?g0.expr=${escapeQuery(expression)}&g0.tab=1`)],
    ['stripPort', ofString(STRING, (address) => splitHostPort(address)?.host ?? address)],
    ['stripDomain', ofString(STRING, stripDomain)],
    ['humanize', ofNumber(STRING, humanize)],
    ['humanize1024', ofNumber(STRING, humanize1024)],
    ['humanizeDuration', ofNumber(STRING, humanizeDuration)],
    ['humanizePercentage', ofNumber(STRING, humanizePercentage)],
    ['humanizeTimestamp', ofNumber(STRING, humanizeTimestamp)],
    ['toTime', ofNumber(pointerTo(TIME), (value) => pointer(toTime(value), pointerTo(TIME)))],
    [
      'toDuration',
      ofNumber(pointerTo(DURATION), (value) => pointer(duration(toInt64(value * 1e9)), pointerTo(DURATION))),
    ],
    ['now', func([], FLOAT64, () => running.timeMs / 1000)],
    ['pathPrefix', func([], STRING, () => bytesOf(pathOf(running.externalUrl)))],
    ['externalURL', func([], STRING, () => bytesOf(running.externalUrl))],
    ['parseDuration', ofString(FLOAT64, parseDurationSeconds)],
    ['urlQueryEscape', ofString(STRING, escapeQuery)],
  ]);
}

/** Options of all templates of alerts but the limits; the clock comes with the budget of each execution. */
const OPTIONS = { functions: prometheusFunctions(), missingKey: 'zero' as const, nowMs: () => 0 };

function pathOf(url: string): string {
  const [, path = ''] = /^[^:/?#]+:\/\/[^/?#]*([^?#]*)/.exec(url) ?? [];
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** As `net.SplitHostPort`; undefined where there is no port or the address is wrong. */
function splitHostPort(address: Bytes): { readonly host: Bytes; readonly port: Bytes } | undefined {
  const colon = address.lastIndexOf(':');
  if (colon < 0) return undefined;
  let host = address.slice(0, colon);
  const port = address.slice(colon + 1);
  if (address[0] === '[') {
    const end = address.indexOf(']');
    if (end < 0 || end + 1 !== colon) return undefined;
    host = address.slice(1, end);
    if (host.includes('[') || port.includes(']')) return undefined;
    return { host, port };
  }
  return host.includes(':') || /[[\]]/.test(address) ? undefined : { host, port };
}

function stripDomain(address: Bytes): Bytes {
  const { host, port } = splitHostPort(address) ?? { host: address, port: '' };
  if (isIP(host) !== 0) return address;
  const name = host.split('.', 1)[0]!;
  if (port === '') return name;
  return name.includes(':') || name.includes('%') ? `[${name}]:${port}` : `${name}:${port}`;
}
