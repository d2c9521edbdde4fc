import { aListOf, aRecordOf, aText, type Expected, expected } from '../kit/config/record.ts';
import { parseDuration } from '../kit/config/units.ts';
import { compileRegex, type Regex, RegexSyntaxError } from '../model/regex/regex.ts';

// Rules by which a tenant's queries are refused or preferred, as Cortex' `query_rejection` and `query_priority` have them.

/** A query, as rules look at it. */
export interface QueryFacts {
  /** Undefined: rules have no word for its kind, and none of them matches it. */
  readonly apiType: ApiType | undefined;
  /** The expression, or the selectors. */
  readonly query: string;
  /** Unix ms, both inclusive; the same for an instant. */
  readonly startMs: number;
  readonly endMs: number;
  /** 0: it has no steps. */
  readonly stepMs: number;
  readonly userAgent: string;
  readonly dashboardUid: string;
  readonly panelId: string;
}

export const API_TYPES = ['query', 'query_range', 'series', 'labels', 'label_values'] as const;
export type ApiType = (typeof API_TYPES)[number];

/** Longer texts are looked at up to here. */
const TEXT_CHARS_MAX = 65_536;

interface Bounds {
  readonly minMs: number;
  readonly maxMs: number;
}

/** All that is set has to hold; where nothing is, no query matches. */
interface Attributes {
  readonly apiType: ApiType | undefined;
  readonly regex: Regex | undefined;
  /** Ages of the start and the end. */
  readonly window: { readonly startMs: number; readonly endMs: number };
  readonly range: Bounds;
  readonly step: Bounds;
  readonly userAgent: Regex | undefined;
  readonly dashboardUid: string;
  readonly panelId: string;
}

const aDuration: Expected = expected('a duration', (value) => {
  try {
    return value === 0 || parseDuration(String(value)) >= 0;
  } catch {
    return false;
  }
});
const aWhole = expected('a whole number', (value) => Number.isSafeInteger(value));
const aShare = expected(
  'a number of queriers, or a part of them below 1',
  (value) => Number(value) >= 0 && typeof value === 'number',
);
const aToggle = expected('true or false', (value) => typeof value === 'boolean');
const someBounds = aRecordOf({ min: aDuration, max: aDuration });
const someAttributes = aListOf(
  aRecordOf({
    api_type: expected(`one of ${API_TYPES.join(', ')}`, (value) => ['', ...API_TYPES].includes(String(value))),
    regex: aText(),
    time_window: aRecordOf({ start: aDuration, end: aDuration }),
    time_range_limit: someBounds,
    query_step_limit: someBounds,
    user_agent_regex: aText(),
    dashboard_uid: aText(),
    panel_id: aText(),
  }),
);
const aRejection = aRecordOf({ enabled: aToggle, query_attributes: someAttributes });
const aPriority = aRecordOf({
  enabled: aToggle,
  default_priority: aWhole,
  priorities: aListOf(
    aRecordOf({ 'priority!': aWhole, reserved_queriers: aShare, 'query_attributes!': someAttributes }),
  ),
});

type FileBounds = { readonly min?: unknown; readonly max?: unknown };

interface AttributesFile {
  readonly api_type?: ApiType | '';
  readonly regex?: string;
  readonly time_window?: { readonly start?: unknown; readonly end?: unknown };
  readonly time_range_limit?: FileBounds;
  readonly query_step_limit?: FileBounds;
  readonly user_agent_regex?: string;
  readonly dashboard_uid?: string;
  readonly panel_id?: string;
}

/** Queries that are refused. */
export class QueryRejection {
  static readonly none = new QueryRejection({}, []);

  /** As it stood in the file. */
  readonly file: unknown;
  readonly #rules: readonly Attributes[];

  private constructor(file: unknown, rules: readonly Attributes[]) {
    this.file = file;
    this.#rules = rules;
  }

  /** @throws RangeError */
  static parse(value: unknown): QueryRejection {
    checked(aRejection, value);
    const file = value as { readonly enabled?: boolean; readonly query_attributes?: readonly AttributesFile[] };
    const rules = (file.query_attributes ?? []).map(attributesOf);
    return new QueryRejection(value, file.enabled === true ? rules : []);
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  rejects(facts: QueryFacts, nowMs: number): boolean {
    return this.#rules.some((rule) => matches(rule, facts, nowMs));
  }
}

interface PriorityRule {
  readonly priority: number;
  /** Queriers that serve this priority and higher ones alone; below 1: a part of the tenant's. */
  readonly reserved: number;
  readonly any: readonly Attributes[];
}

/** Queries that come before others of their tenant. */
export class QueryPriority {
  static readonly none = new QueryPriority({}, 0, []);

  /** As it stood in the file. */
  readonly file: unknown;
  readonly #usual: number;
  /** The highest first. */
  readonly #rules: readonly PriorityRule[];

  private constructor(file: unknown, usual: number, rules: readonly PriorityRule[]) {
    this.file = file;
    this.#usual = usual;
    this.#rules = rules.toSorted((a, b) => b.priority - a.priority);
  }

  /** @throws RangeError */
  static parse(value: unknown): QueryPriority {
    checked(aPriority, value);
    const file = value as {
      readonly enabled?: boolean;
      readonly default_priority?: number;
      readonly priorities?: readonly {
        readonly priority: number;
        readonly reserved_queriers?: number;
        readonly query_attributes: readonly AttributesFile[];
      }[];
    };
    const rules = (file.priorities ?? []).map(({ priority, reserved_queriers: reserved = 0, query_attributes }) => ({
      priority,
      reserved,
      any: query_attributes.map(attributesOf),
    }));
    return file.enabled === true
      ? new QueryPriority(value, file.default_priority ?? 0, rules)
      : new QueryPriority(value, 0, []);
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** Queriers that are kept for a priority and higher ones, the highest first. */
  get reserved(): readonly { readonly priority: number; readonly queriers: number }[] {
    return this.#rules.flatMap(({ priority, reserved }) => (reserved > 0 ? [{ priority, queriers: reserved }] : []));
  }

  /** Higher ones come first. */
  of(facts: QueryFacts, nowMs: number): number {
    return this.#rules.find(({ any }) => any.some((rule) => matches(rule, facts, nowMs)))?.priority ?? this.#usual;
  }
}

/** @throws RangeError */
function checked(what: Expected, value: unknown): void {
  const wrong = what(value);
  if (wrong !== undefined) throw new RangeError(wrong);
}

function attributesOf(file: AttributesFile): Attributes {
  return {
    apiType: file.api_type === '' ? undefined : file.api_type,
    regex: found(file.regex),
    window: { startMs: msOf(file.time_window?.start), endMs: msOf(file.time_window?.end) },
    range: boundsOf(file.time_range_limit),
    step: boundsOf(file.query_step_limit),
    userAgent: found(file.user_agent_regex),
    dashboardUid: file.dashboard_uid ?? '',
    panelId: file.panel_id ?? '',
  };
}

/** A regular expression that matches where it is found anywhere. */
function found(source: string | undefined): Regex | undefined {
  if (source === undefined || source === '') return undefined;
  try {
    return compileRegex(`(?s:.*)(?:${source})(?s:.*)`);
  } catch (thrown) {
    if (thrown instanceof RegexSyntaxError) throw new RangeError(thrown.message);
    throw thrown;
  }
}

const boundsOf = (file: FileBounds | undefined): Bounds => ({ minMs: msOf(file?.min), maxMs: msOf(file?.max) });

function msOf(value: unknown): number {
  return value === undefined || value === 0 ? 0 : parseDuration(String(value));
}

function matches(rule: Attributes, facts: QueryFacts, nowMs: number): boolean {
  if (facts.apiType === undefined) return false;
  const { apiType, regex, window, range, step, userAgent, dashboardUid, panelId } = rule;
  const rangeMs = facts.endMs - facts.startMs;
  const tests: (boolean | undefined)[] = [
    apiType === undefined ? undefined : facts.apiType === apiType,
    regex?.matches(facts.query.slice(0, TEXT_CHARS_MAX)),
    window.startMs === 0 ? undefined : facts.startMs >= nowMs - window.startMs,
    window.endMs === 0 ? undefined : facts.endMs <= nowMs - window.endMs,
    range.minMs === 0 ? undefined : rangeMs >= range.minMs,
    range.maxMs === 0 ? undefined : rangeMs <= range.maxMs,
    step.minMs === 0 ? undefined : facts.stepMs >= step.minMs && facts.stepMs > 0,
    step.maxMs === 0 ? undefined : facts.stepMs <= step.maxMs && facts.stepMs > 0,
    userAgent?.matches(facts.userAgent),
    dashboardUid === '' ? undefined : facts.dashboardUid === dashboardUid,
    panelId === '' ? undefined : facts.panelId === panelId,
  ];
  return tests.includes(true) && !tests.includes(false);
}
