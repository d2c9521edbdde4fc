import type { Budget, TemplateLimits } from './budget.ts';
import { type Bytes, bytesOf, textOf } from './bytes.ts';
import { toLower, toTitle, toUpper } from './case.ts';
import { UTC, zoneOf } from './civil.ts';
import { HTML, URL } from './html/escapers.ts';
import { humanizeDuration, toFloat } from './humanize.ts';
import { toJson } from './json.ts';
import { TemplateError } from './parser.ts';
import { quote } from './quote.ts';
import { matches, replaceAll } from './regexp.ts';
import { Templates } from './templates.ts';
import { DURATION, duration, formatTime, parseTime, TIME, timeBetween, timeOfMs, zeroTime } from './time.ts';
import {
  ANY,
  ANY_MAP,
  ANYS,
  BOOL,
  CallError,
  type Func,
  indirectInterface,
  list,
  listOf,
  type MapValue,
  type Method,
  map,
  pointer,
  pointerTo,
  STRING,
  STRINGS,
  type StructValue,
  stringOf,
  struct,
  type TimeValue,
  type Type,
  type Value,
} from './value.ts';

/** Templates of notifications: the functions and data that the Alertmanager gives them. */

export interface NotificationAlert {
  readonly status: 'firing' | 'resolved';
  readonly labels: ReadonlyMap<string, string>;
  readonly annotations: ReadonlyMap<string, string>;
  readonly startsAtMs: number;
  /** Undefined while it fires. */
  readonly endsAtMs: number | undefined;
  readonly generatorUrl: string;
  readonly fingerprint: string;
}

export interface NotificationData {
  readonly receiver: string;
  readonly status: 'firing' | 'resolved';
  readonly alerts: readonly NotificationAlert[];
  readonly notificationReason: string;
  readonly groupLabels: ReadonlyMap<string, string>;
  readonly commonLabels: ReadonlyMap<string, string>;
  readonly commonAnnotations: ReadonlyMap<string, string>;
  /** Values are templates themselves, unless they are expanded already. */
  readonly routeLabels: ReadonlyMap<string, string>;
  readonly hasExpandedRouteLabels?: boolean;
  readonly externalUrl: string;
}

/** The templates of a configuration, and texts expanded with them. */
export class NotificationTemplates {
  readonly #templates: Templates;

  private constructor(templates: Templates) {
    this.#templates = templates;
  }

  static of(limits: TemplateLimits, nowMs: () => number): NotificationTemplates {
    const functions = alertmanagerFunctions(nowMs);
    return new NotificationTemplates(Templates.of({ functions, missingKey: 'zero', limits, nowMs }));
  }

  /** @throws TemplateError */
  with(name: string, text: string): NotificationTemplates {
    return new NotificationTemplates(this.#templates.with(name, text));
  }

  /** @throws TemplateError */
  text(text: string, data: NotificationData): string {
    return this.#expand('text', text, data);
  }

  /** @throws TemplateError */
  html(text: string, data: NotificationData): string {
    return this.#expand('html', text, data);
  }

  #expand(format: 'text' | 'html', text: string, data: NotificationData): string {
    if (text === '') return '';
    const value = dataOf(data);
    const budget = this.#templates.budget();
    const routeLabels = new RouteLabels(data.routeLabels, (label, own) =>
      data.hasExpandedRouteLabels === true
        ? label
        : this.#templates.withFunctions(own.functions).with('', label)[format]('', value, budget),
    );
    return this.#templates.withFunctions(routeLabels.functions).with('', text)[format]('', value, budget);
  }
}

/** Labels of a route, expanded when a template asks for them: each once, and none inside itself. */
class RouteLabels {
  readonly functions: ReadonlyMap<string, Func>;
  readonly #labels: ReadonlyMap<string, string>;
  readonly #expand: (label: string, own: RouteLabels) => string;
  readonly #expanded = new Map<string, string>();
  readonly #underWay: string[] = [];

  constructor(labels: ReadonlyMap<string, string>, expand: (label: string, own: RouteLabels) => string) {
    this.#labels = labels;
    this.#expand = expand;
    this.functions = new Map([
      ['routeLabels', func([STRING], STRING, ([name]) => bytesOf(this.#value(textOf(stringOf(name)!))))],
    ]);
  }

  #value(name: string): string {
    const label = this.#labels.get(name);
    if (label === undefined) return '';
    const known = this.#expanded.get(name);
    if (known !== undefined) return known;
    if (this.#underWay.includes(name)) {
      throw new CallError(bytesOf(`route label cycle detected: ${[...this.#underWay, name].join(' -> ')}`));
    }
    this.#underWay.push(name);
    try {
      const value = this.#expand(label, this);
      this.#expanded.set(name, value);
      return value;
    } catch (thrown) {
      throw thrown instanceof TemplateError ? new CallError(bytesOf(thrown.message)) : thrown;
    } finally {
      this.#underWay.pop();
    }
  }
}

function method(types: readonly Type[], out: Type, call: Method['call']): Method {
  return { in: types, out, call };
}

const STRINGS_TYPE: Type = {
  kind: 'list',
  name: 'template.Strings',
  elem: STRING,
  methods: new Map([
    [
      'Join',
      method([STRING], STRING, (receiver, [separator], budget) => joined(stringOf(separator)!, receiver, budget)),
    ],
  ]),
};

const PAIR: Type = {
  kind: 'struct',
  name: 'template.Pair',
  fields: [
    { name: 'Name', type: STRING },
    { name: 'Value', type: STRING },
  ],
};

const PAIRS: Type = {
  kind: 'list',
  name: 'template.Pairs',
  elem: PAIR,
  methods: new Map([
    ['Names', method([], STRINGS_TYPE, (receiver) => strings(pairsOf(receiver).map(([name]) => name)))],
    ['Values', method([], STRINGS_TYPE, (receiver) => strings(pairsOf(receiver).map(([, value]) => value)))],
    ['String', method([], STRING, (receiver) => pairsText(pairsOf(receiver)))],
  ]),
};

const kvMethods = new Map<string, Method>();
const KV: Type = { kind: 'map', name: 'template.KV', elem: STRING, methods: kvMethods };
kvMethods.set(
  'SortedPairs',
  method([], PAIRS, (receiver, _, budget) => {
    const pairs = sortedPairs(receiver, budget);
    return list(
      pairs.map((pair) => struct(PAIR, pair)),
      PAIRS,
    );
  }),
);
kvMethods.set(
  'Remove',
  method([STRINGS], KV, (receiver, [names], budget) => {
    const removed = new Set(itemsOf(names).map((name) => stringOf(name)));
    const { entries } = receiver as MapValue;
    budget.make(entries.size * 16);
    return map(new Map([...entries].filter(([name]) => !removed.has(name))), KV);
  }),
);
kvMethods.set(
  'Names',
  method([], STRINGS_TYPE, (receiver, _, budget) => strings(sortedPairs(receiver, budget).map(([name]) => name))),
);
kvMethods.set(
  'Values',
  method([], STRINGS_TYPE, (receiver, _, budget) => strings(sortedPairs(receiver, budget).map(([, value]) => value))),
);
kvMethods.set(
  'String',
  method([], STRING, (receiver, _, budget) => pairsText(sortedPairs(receiver, budget))),
);

const ALERT: Type = {
  kind: 'struct',
  name: 'template.Alert',
  fields: [
    { name: 'Status', type: STRING, jsonName: 'status' },
    { name: 'Labels', type: KV, jsonName: 'labels' },
    { name: 'Annotations', type: KV, jsonName: 'annotations' },
    { name: 'StartsAt', type: TIME, jsonName: 'startsAt' },
    { name: 'EndsAt', type: TIME, jsonName: 'endsAt' },
    { name: 'GeneratorURL', type: STRING, jsonName: 'generatorURL' },
    { name: 'Fingerprint', type: STRING, jsonName: 'fingerprint' },
  ],
};

const ALERT_LIST = listOf(ALERT);
const ALERTS: Type = {
  kind: 'list',
  name: 'template.Alerts',
  elem: ALERT,
  methods: new Map([
    ['Firing', method([], ALERT_LIST, (receiver) => alertsWith(receiver, 'firing'))],
    ['Resolved', method([], ALERT_LIST, (receiver) => alertsWith(receiver, 'resolved'))],
  ]),
};

const DATA: Type = {
  kind: 'struct',
  name: 'template.Data',
  fields: [
    { name: 'Receiver', type: STRING, jsonName: 'receiver' },
    { name: 'Status', type: STRING, jsonName: 'status' },
    { name: 'Alerts', type: ALERTS, jsonName: 'alerts' },
    { name: 'NotificationReason', type: STRING, jsonName: 'notification_reason' },
    { name: 'GroupLabels', type: KV, jsonName: 'groupLabels' },
    { name: 'CommonLabels', type: KV, jsonName: 'commonLabels' },
    { name: 'CommonAnnotations', type: KV, jsonName: 'commonAnnotations' },
    { name: 'RouteLabels', type: KV, jsonName: 'routeLabels' },
    { name: 'ExternalURL', type: STRING, jsonName: 'externalURL' },
    { name: 'routeLabelsRendered', type: BOOL, isHidden: true },
  ],
};

function dataOf(data: NotificationData): Value {
  const fields = [
    bytesOf(data.receiver.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')),
    data.status,
    list(data.alerts.map(alertOf), ALERTS),
    bytesOf(data.notificationReason),
    kvOf(data.groupLabels),
    kvOf(data.commonLabels),
    kvOf(data.commonAnnotations),
    kvOf(data.routeLabels),
    bytesOf(data.externalUrl),
    false,
  ];
  return pointer(struct(DATA, fields), pointerTo(DATA));
}

function alertOf(alert: NotificationAlert): Value {
  return struct(ALERT, [
    alert.status,
    kvOf(alert.labels),
    kvOf(alert.annotations),
    timeOfMs(alert.startsAtMs),
    alert.endsAtMs === undefined ? zeroTime : timeOfMs(alert.endsAtMs),
    bytesOf(alert.generatorUrl),
    bytesOf(alert.fingerprint),
  ]);
}

function kvOf(labels: ReadonlyMap<string, string>): MapValue {
  return map(new Map([...labels].map(([name, value]) => [bytesOf(name), bytesOf(value)])), KV);
}

function itemsOf(value: Value): readonly Value[] {
  return typeof value === 'object' && value.tag === 'list' ? value.items : [];
}

function strings(items: readonly Bytes[]): Value {
  return list(items, STRINGS_TYPE);
}

/** By name, but the alert's name first. */
function sortedPairs(kv: Value, budget: Budget): [Bytes, Bytes][] {
  const { entries } = kv as MapValue;
  budget.make(entries.size * 32);
  const pairs = [...entries].map(([name, value]): [Bytes, Bytes] => [name, stringOf(value)!]);
  const rank = (name: Bytes) => (name === 'alertname' ? 0 : 1);
  return pairs.sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0));
}

function pairsOf(pairs: Value): [Bytes, Bytes][] {
  return itemsOf(pairs).map((pair) => (pair as StructValue).fields as [Bytes, Bytes]);
}

function pairsText(pairs: readonly [Bytes, Bytes][]): Bytes {
  return pairs.map(([name, value]) => `${name}=${value}`).join(', ');
}

function alertsWith(alerts: Value, status: string): Value {
  return list(
    itemsOf(alerts).filter((alert) => (alert as StructValue).fields[0] === status),
    ALERT_LIST,
  );
}

function joined(separator: Bytes, items: Value, budget: Budget): Bytes {
  const parts = itemsOf(items).map((item) => stringOf(item)!);
  budget.make(parts.reduce((bytes, part) => bytes + part.length + separator.length, 0));
  return parts.join(separator);
}

function func(types: readonly Type[], out: Type, call: Func['call']): Func {
  return { in: types, out, call };
}

function variadic(types: readonly Type[], out: Type, call: Func['call']): Func {
  return { in: types, out, call, variadic: true };
}

function ofString(out: Type, call: (bytes: Bytes) => Value): Func {
  return func([STRING], out, ([given], budget) => {
    const bytes = stringOf(given)!;
    budget.make(bytes.length * 2);
    return call(bytes);
  });
}

function alertmanagerFunctions(nowMs: () => number): ReadonlyMap<string, Func> {
  return new Map<string, Func>([
    ['toUpper', ofString(STRING, toUpper)],
    ['toLower', ofString(STRING, toLower)],
    ['title', ofString(STRING, (bytes) => toTitle(bytes, true))],
    ['trimSpace', ofString(STRING, trimSpace)],
    [
      'join',
      func([STRING, STRINGS], STRING, ([separator, items], budget) => joined(stringOf(separator)!, items, budget)),
    ],
    [
      'match',
      func([STRING, STRING], BOOL, ([pattern, text], budget) => matches(stringOf(pattern)!, stringOf(text)!, budget)),
    ],
    [
      'reReplaceAll',
      func([STRING, STRING, STRING], STRING, ([pattern, template, text], budget) =>
        replaceAll(stringOf(pattern)!, stringOf(template)!, stringOf(text)!, budget),
      ),
    ],
    ['safeHtml', ofString(HTML, (bytes) => ({ tag: 'string', type: HTML, bytes }))],
    ['safeUrl', ofString(URL, (bytes) => ({ tag: 'string', type: URL, bytes }))],
    ['urlUnescape', ofString(STRING, unescapeQuery)],
    ['stringSlice', variadic([STRING], STRINGS, (items) => list(items, STRINGS))],
    ['routeLabels', ofString(STRING, () => '')],
    [
      'date',
      func([STRING, TIME], STRING, ([layout, time], budget) => {
        const bytes = stringOf(layout)!;
        budget.make(bytes.length * 8);
        return formatTime(time as TimeValue, bytes);
      }),
    ],
    [
      'tz',
      func([STRING, TIME], TIME, ([name, time]) => {
        const zone = zoneOf(textOf(stringOf(name)!));
        if (zone === undefined) throw new CallError(`unknown time zone ${stringOf(name)}`);
        return { ...(time as TimeValue), zone };
      }),
    ],
    ['now', func([], TIME, () => timeOfMs(nowMs()))],
    ['since', func([TIME], DURATION, ([time]) => duration(timeBetween(time as TimeValue, timeOfMs(nowMs()))))],
    ['humanizeDuration', func([ANY], STRING, ([value]) => humanizeDuration(toFloat(value)))],
    [
      'toDate',
      func([STRING, STRING], TIME, ([layout, value]) => {
        try {
          return parseTime(stringOf(layout)!, stringOf(value)!);
        } catch (thrown) {
          if (thrown instanceof CallError) return { ...zeroTime, zone: UTC };
          throw thrown;
        }
      }),
    ],
    ['mustToDate', func([STRING, STRING], TIME, ([layout, value]) => parseTime(stringOf(layout)!, stringOf(value)!))],
    ['toJson', func([ANY], STRING, ([value], budget) => toJson(value, budget))],
    ['base64encode', ofString(STRING, encodeBase64)],
    ['base64decode', ofString(STRING, decodeBase64)],
    [
      'list',
      variadic([ANY], ANYS, (items, budget) => {
        budget.make(items.length * 16);
        return list(items, ANYS);
      }),
    ],
    [
      'append',
      variadic([ANYS, ANY], ANYS, ([items, ...more], budget) => {
        const all = [...itemsOf(items), ...more];
        budget.make(all.length * 16);
        return list(all, ANYS);
      }),
    ],
    ['dict', variadic([ANY], ANY_MAP, dict)],
  ]);
}

function dict(values: readonly Value[], budget: Budget): Value {
  if (values.length % 2 !== 0) throw new CallError('dict requires an even number of arguments');
  budget.make(values.length * 16);
  const entries = new Map<Bytes, Value>();
  for (let i = 0; i < values.length; i += 2) {
    const key = indirectInterface(values[i]);
    if (typeof key !== 'string') throw new CallError('dict keys must be strings');
    entries.set(key, values[i + 1]);
  }
  return map(entries, ANY_MAP);
}

/** Unicode's spaces; JavaScript lacks the next-line character and takes the byte order mark for one. */
function trimSpace(bytes: Bytes): Bytes {
  const isSpace = (character: string) => /[\s\u0085]/.test(character) && character !== '\ufeff';
  const text = textOf(bytes);
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text[start]!)) start++;
  while (end > start && isSpace(text[end - 1]!)) end--;
  return bytesOf(text.slice(start, end));
}

function unescapeQuery(bytes: Bytes): Bytes {
  const bad = /%(?![\dA-Fa-f]{2}).{0,2}/s.exec(bytes);
  if (bad !== null) throw new CallError(`invalid URL escape ${quote(bad[0])}`);
  return bytes
    .replaceAll('+', ' ')
    .replace(/%([\dA-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

function encodeBase64(bytes: Bytes): Bytes {
  return btoa(bytes).replaceAll('+', '-').replaceAll('/', '_');
}

/** @throws CallError with the byte at which Go's decoder gives up */
function decodeBase64(bytes: Bytes): Bytes {
  const wrongAt = (at: number) => new CallError(`illegal base64 data at input byte ${at}`);
  let digits = '';
  let at = 0;
  for (; at < bytes.length && bytes[at] !== '='; at++) {
    if (bytes[at] === '\n' || bytes[at] === '\r') continue;
    if (!/[\w-]/.test(bytes[at]!)) throw wrongAt(at);
    digits += bytes[at];
  }
  const open = digits.length % 4;
  if (at === bytes.length) {
    if (open > 0) throw wrongAt(at - open);
  } else {
    if (open < 2) throw wrongAt(at);
    let padding = 0;
    for (; at < bytes.length && padding < 4 - open; at++) {
      if (bytes[at] === '\n' || bytes[at] === '\r') continue;
      if (bytes[at] !== '=') throw wrongAt(at);
      padding++;
    }
    if (padding < 4 - open) throw wrongAt(at);
    while (bytes[at] === '\n' || bytes[at] === '\r') at++;
    if (at < bytes.length) throw wrongAt(at);
  }
  return atob(digits.replaceAll('-', '+').replaceAll('_', '/'));
}
