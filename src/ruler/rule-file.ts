import type { Node } from 'yaml';
import { METRIC_NAME, quoteGo } from '../model/labels.ts';
import { ParseError, type ParserOptions, parseExpr } from '../promql/parser/parser.ts';
import { TemplateError } from '../template/parser.ts';
import { checkAlertTemplate } from '../template/prometheus.ts';
import { nowhere, type Place, YamlError, YamlReader } from '../yaml/reader.ts';

/** Rules of a file, as Prometheus' rule files write them, with what Mimir adds. */
export interface RuleGroup {
  readonly name: string;
  /** Undefined: the global one. */
  readonly intervalMs: number | undefined;
  /** Age of the data that the rules see. Undefined: the tenant's. */
  readonly queryOffsetMs: number | undefined;
  /** Series or alerts of one rule; 0: no limit. */
  readonly limit: number;
  /** Beneath each rule's own. */
  readonly labels: ReadonlyMap<string, string>;
  readonly rules: readonly Rule[];
  /** Tenants whose data the rules see; none: the tenant's own. */
  readonly sourceTenants: readonly string[];
  /** Evaluations on multiples of the interval, not spread over it. */
  readonly alignsToInterval: boolean;
}

export type Rule = RecordingRule | AlertingRule;

export interface RecordingRule {
  readonly kind: 'record';
  readonly name: string;
  readonly expr: string;
  readonly labels: ReadonlyMap<string, string>;
}

export interface AlertingRule {
  readonly kind: 'alert';
  readonly name: string;
  readonly expr: string;
  readonly forMs: number;
  readonly keepFiringForMs: number;
  /** Values are templates. */
  readonly labels: ReadonlyMap<string, string>;
  /** Values are templates. */
  readonly annotations: ReadonlyMap<string, string>;
}

export interface RuleFile {
  readonly groups: readonly RuleGroup[];
  /** Why the file is refused, each with its place; with any, the groups are not to be used. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

export interface RuleFileOptions {
  readonly ignoreUnknownFields?: boolean;
  readonly parser?: ParserOptions;
}

const GROUP = 'rulefmt.RuleGroup';
const RULE = 'rulefmt.Rule';

/**
 * Prometheus reads a file twice, strictly and then only for places, and shows what goes wrong with both: the second time
 * under other names, without fields that are not known, and with anything for a name or an expression.
 */
interface Pass {
  readonly groups: string;
  readonly group: string;
  readonly rule: string;
  readonly isForPlaces: boolean;
}

const STRICT: Pass = { groups: 'rulefmt.RuleGroups', group: GROUP, rule: RULE, isForPlaces: false };
const PLACES: Pass = {
  groups: 'rulefmt.ruleGroups',
  group: 'rulefmt.RuleGroupNode',
  rule: 'rulefmt.RuleNode',
  isForPlaces: true,
};

/** Fields of other rulers: what does the same here. */
const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [GROUP]: {
    concurrency: 'of vmalert; rules that do not depend on each other are evaluated side by side without it',
    debug: 'of vmalert; /api/v1/rules shows the last evaluation of each rule',
    eval_alignment: 'of vmalert; align_evaluation_time_on_interval: true does the same',
    eval_delay: 'of vmalert; query_offset does the same',
    eval_offset:
      'of vmalert; groups are spread over their interval by name, align_evaluation_time_on_interval: true aligns them',
    evaluation_delay: 'of Cortex and older Mimir; query_offset does the same',
    headers: 'of vmalert; rules are evaluated within the process, without requests',
    notifier_headers: 'of vmalert; the Alertmanager is configured for the tenant, not for the group',
    params: 'of vmalert; rules are evaluated within the process, without requests',
    partial_response_strategy: 'of Thanos; a rule whose data cannot all be read fails, and never sees a part',
    tenant: 'of vmalert; the tenant is the one that the rules belong to, source_tenants names others to read from',
    type: 'of vmalert; all rules are PromQL',
  },
  [RULE]: {
    debug: 'of vmalert; /api/v1/rules shows the last evaluation of each rule',
    type: 'of vmalert; all rules are PromQL',
    update_entries_limit: 'of vmalert; /api/v1/rules shows the last evaluation of each rule',
  },
};

function hint(type: string, field: string): string {
  const text = ELSEWHERE[type]?.[field];
  return text === undefined ? '' : ` (it is ${text})`;
}

/** A rule as it was read, with the places that errors name. */
interface ReadRule {
  record: string;
  alert: string;
  expr: string;
  forMs: number;
  keepFiringForMs: number;
  labels: ReadonlyMap<string, string>;
  annotations: ReadonlyMap<string, string>;
  readonly places: { record: Place; alert: Place; expr: Place };
}

interface ReadGroup {
  name: string;
  intervalMs: number | undefined;
  queryOffsetMs: number | undefined;
  limit: number;
  labels: ReadonlyMap<string, string>;
  rules: readonly ReadRule[];
  sourceTenants: readonly string[];
  alignsToInterval: boolean;
}

/** Reads a rule file with all its verdicts; errors are worded as Prometheus words them, but for the file's name. */
export function readRuleFile(text: string, options: RuleFileOptions = {}): RuleFile {
  const { ignoreUnknownFields = false, parser = {} } = options;
  const first = readGroups(text, STRICT, ignoreUnknownFields);
  const warnings = first.hasMore
    ? ['Multiple document yaml rules files are not supported, only the first document is processed']
    : [];
  if (first.error !== undefined) {
    const { error } = readGroups(text, PLACES, true);
    return { groups: [], errors: error === undefined ? [first.error] : [first.error, error], warnings };
  }
  return { groups: first.groups.map(groupOf), errors: verdicts(first.groups, parser), warnings };
}

interface Reading {
  readonly groups: readonly ReadGroup[];
  readonly hasMore: boolean;
  /** Why it cannot be read. */
  readonly error: string | undefined;
}

function readGroups(text: string, pass: Pass, ignoreUnknownFields: boolean): Reading {
  let groups: readonly ReadGroup[] = [];
  let hasMore = false;
  try {
    const reader = new YamlReader(text, { ignoreUnknownFields, hint });
    ({ hasMore } = reader);
    reader.mapping(reader.top, pass.groups, {
      groups: (node) => {
        groups = reader.list(node, pass.group, (each) => readGroup(reader, each, pass));
      },
    });
    reader.check();
    return { groups, hasMore, error: undefined };
  } catch (thrown) {
    if (!(thrown instanceof YamlError)) throw thrown;
    return { groups: [], hasMore, error: thrown.message };
  }
}

/** One group alone, as the configuration API takes it. */
export function readRuleGroup(text: string, options: RuleFileOptions = {}): RuleFile {
  const { ignoreUnknownFields = false, parser = {} } = options;
  try {
    const reader = new YamlReader(text, { ignoreUnknownFields, hint });
    const group = readGroup(reader, reader.top, STRICT);
    reader.check();
    return { groups: [groupOf(group)], errors: verdicts([group], parser), warnings: [] };
  } catch (thrown) {
    if (!(thrown instanceof YamlError)) throw thrown;
    return { groups: [], errors: [thrown.message], warnings: [] };
  }
}

function readGroup(reader: YamlReader, node: Node | null, pass: Pass): ReadGroup {
  const group: ReadGroup = {
    name: '',
    intervalMs: undefined,
    queryOffsetMs: undefined,
    limit: 0,
    labels: new Map(),
    rules: [],
    sourceTenants: [],
    alignsToInterval: false,
  };
  reader.mapping(node, pass.group, {
    name: (value) => {
      group.name = reader.string(value);
    },
    interval: (value) => {
      group.intervalMs = reader.duration(value) || undefined;
    },
    query_offset: (value) => {
      group.queryOffsetMs = reader.isNothing(value) ? undefined : reader.duration(value);
    },
    limit: (value) => {
      group.limit = reader.integer(value);
    },
    labels: (value) => {
      group.labels = reader.stringMap(value);
    },
    rules: (value) => {
      group.rules = reader.list(value, pass.rule, (each) => readRule(reader, each, pass));
    },
    source_tenants: (value) => {
      group.sourceTenants = reader.strings(value);
    },
    align_evaluation_time_on_interval: (value) => {
      group.alignsToInterval = reader.boolean(value);
    },
  });
  return group;
}

function readRule(reader: YamlReader, node: Node | null, pass: Pass): ReadRule {
  const rule: ReadRule = {
    record: '',
    alert: '',
    expr: '',
    forMs: 0,
    keepFiringForMs: 0,
    labels: new Map(),
    annotations: new Map(),
    places: { record: nowhere, alert: nowhere, expr: nowhere },
  };
  const { places } = rule;
  const nameOf = (value: Node | null) => (pass.isForPlaces ? '' : reader.string(value));
  reader.mapping(node, pass.rule, {
    record: (value) => {
      rule.record = nameOf(value);
      places.record = reader.placeOf(value);
    },
    alert: (value) => {
      rule.alert = nameOf(value);
      places.alert = reader.placeOf(value);
    },
    expr: (value) => {
      rule.expr = nameOf(value);
      places.expr = reader.placeOf(value);
    },
    for: (value) => {
      rule.forMs = reader.duration(value);
    },
    keep_firing_for: (value) => {
      rule.keepFiringForMs = reader.duration(value);
    },
    labels: (value) => {
      rule.labels = reader.stringMap(value);
    },
    annotations: (value) => {
      rule.annotations = reader.stringMap(value);
    },
  });
  return rule;
}

function groupOf({ rules, ...group }: ReadGroup): RuleGroup {
  return { ...group, rules: rules.map(ruleOf) };
}

function ruleOf({ record, alert, expr, labels, forMs, keepFiringForMs, annotations }: ReadRule): Rule {
  return alert === ''
    ? { kind: 'record', name: record, expr, labels }
    : { kind: 'alert', name: alert, expr, labels, forMs, keepFiringForMs, annotations };
}

function verdicts(groups: readonly ReadGroup[], parser: ParserOptions): string[] {
  const errors: string[] = [];
  const names = new Set<string>();
  for (const { name, labels, rules } of groups) {
    // the places of groups are not known to Prometheus
    if (name === '') errors.push('0:0: Groupname must not be empty');
    if (names.has(name)) errors.push(`0:0: groupname: "${name}" is repeated in the same file`);
    names.add(name);
    errors.push(...labelVerdicts(labels));
    rules.forEach((rule, i) => {
      const called = `group ${quoteGo(name)}, rule ${i + 1}, ${quoteGo(rule.alert || rule.record)}`;
      for (const { places, text } of ruleVerdicts(rule, parser)) {
        errors.push([...places.map(({ line, column }) => `${line}:${column}`), called, text].join(': '));
      }
    });
  }
  return errors;
}

interface Verdict {
  readonly places: readonly Place[];
  readonly text: string;
}

function* ruleVerdicts(rule: ReadRule, parser: ParserOptions): Generator<Verdict> {
  const { record, alert, expr, places } = rule;
  const both = [places.record, places.alert];
  if (record !== '' && alert !== '') yield { places: both, text: "only one of 'record' and 'alert' must be set" };
  if (record === '' && alert === '') yield { places: both, text: "one of 'record' or 'alert' must be set" };
  if (expr === '') yield { places: [places.expr], text: "field 'expr' must be set in rule" };
  else {
    try {
      parseExpr(expr, parser);
    } catch (thrown) {
      if (!(thrown instanceof ParseError)) throw thrown;
      yield { places: [places.expr], text: `could not parse expression: ${thrown.message}` };
    }
  }
  if (record !== '') {
    for (const text of recordVerdicts(rule)) yield { places: [places.record], text };
  }
  for (const text of labelVerdicts(rule.labels)) yield { places: [], text };
  for (const name of rule.annotations.keys()) {
    if (!isName(name)) yield { places: [], text: `invalid annotation name: ${name}` };
  }
  if (alert === '') return;
  for (const [kind, templates] of [
    ['label', rule.labels],
    ['annotation', rule.annotations],
  ] as const) {
    for (const [name, template] of templates) {
      try {
        checkAlertTemplate(alert, template);
      } catch (thrown) {
        if (!(thrown instanceof TemplateError)) throw thrown;
        yield { places: [], text: `${kind} ${quoteGo(name)}: ${thrown.message}` };
      }
    }
  }
}

function* recordVerdicts({ record, annotations, forMs, keepFiringForMs }: ReadRule): Generator<string> {
  if (annotations.size > 0) yield "invalid field 'annotations' in recording rule";
  if (forMs !== 0) yield "invalid field 'for' in recording rule";
  if (keepFiringForMs !== 0) yield "invalid field 'keep_firing_for' in recording rule";
  if (!isName(record)) yield `invalid recording rule name: ${record}`;
  if (/[{}]/.test(record)) {
    yield `braces present in the recording rule name; should it be in expr?: ${record}`;
  }
}

function* labelVerdicts(labels: ReadonlyMap<string, string>): Generator<string> {
  for (const [name, value] of labels) {
    if (!isName(name) || name === METRIC_NAME) yield `invalid label name: ${name}`;
    if (!value.isWellFormed()) yield `invalid label value: ${value}`;
  }
}

/** Any text that UTF-8 can hold. */
function isName(name: string): boolean {
  return name !== '' && name.isWellFormed();
}

/** Rules of one name and one set of labels, which would write the same series: each once, in order. */
export function duplicateRules(groups: readonly RuleGroup[]): { name: string; labels: ReadonlyMap<string, string> }[] {
  const seen = new Map<string, { name: string; labels: ReadonlyMap<string, string>; count: number }>();
  for (const group of groups) {
    for (const { name, labels: own } of group.rules) {
      const labels = new Map([...group.labels, ...own].sort(([a], [b]) => (a < b ? -1 : 1)));
      const key = JSON.stringify([name, ...labels]);
      const found = seen.get(key);
      if (found === undefined) seen.set(key, { name, labels, count: 1 });
      else found.count++;
    }
  }
  return [...seen.entries()]
    .filter(([, { count }]) => count > 1)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { name, labels }]) => ({ name, labels }));
}
