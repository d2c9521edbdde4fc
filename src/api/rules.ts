import { createHash } from 'node:crypto';
import type { ApiResponse } from '../contract/api.ts';
import type { ActiveAlert, RuleGroupState, RuleState, TenantRules } from '../contract/rules.ts';
import { formatExponent } from '../lib/go-float.ts';
import type { Turns } from '../lib/turns.ts';
import type { QueryLimits } from '../limits/query-limits.ts';
import { quoteGoCut } from '../model/labels.ts';
import type { LabelMatcher } from '../model/matcher.ts';
import { success } from './answer.ts';
import { ApiError } from './error.ts';
import type { Params } from './params.ts';

/** A request for rules or alerts on its way, whoever answers it: it needs nothing that queries need. */
export interface RulesCall {
  readonly params: Params;
  readonly limits: QueryLimits;
  readonly turns: Turns;
  readonly rules: TenantRules;
}

/** A tenant whose rules nobody evaluates. */
export const NO_RULES: TenantRules = { groups: [], problems: [] };

const STATES = ['unknown', 'inactive', 'pending', 'firing'] as const;
type State = (typeof STATES)[number];
const HEALTHS = ['unknown', 'ok', 'err'];
const NEVER = '0001-01-01T00:00:00Z';

/** `/api/v1/rules`, as Prometheus answers it, and with Cortex' filters `state` and `health`. */
export async function rules({ params, limits, turns, rules: of }: RulesCall): Promise<ApiResponse> {
  const filter = await filterOf(params, turns);
  const page = pageOf(params);
  const groups: object[] = [];
  let next: string | undefined;
  let isReached = page.token === '';
  for (const group of of.groups) {
    if (!filter.takesGroup(group)) continue;
    const token = page.limit === 0 ? '' : tokenOf(group);
    if (!isReached && token !== page.token) continue;
    isReached = true;
    const taken = group.rules.filter(filter.takesRule);
    // a filter left nothing of it
    if (taken.length === 0 && group.rules.length > 0) continue;
    if (page.limit > 0 && groups.length === page.limit) {
      next = token;
      break;
    }
    groups.push(shownGroup(group, taken, filter.excludeAlerts));
  }
  if (!isReached) {
    throw ApiError.invalidParam(
      'group_next_token',
      `invalid group_next_token '${page.token}'. were rule groups changed?`,
    );
  }
  return success(limits, {}, (out) =>
    out.json({
      groups,
      ...(next === undefined ? {} : { groupNextToken: next }),
      // what Prometheus has no word for
      ...(of.problems.length === 0 ? {} : { errors: of.problems }),
    }),
  );
}

/** `/api/v1/alerts` */
export function alerts({ limits, rules: of }: RulesCall): ApiResponse {
  const active = of.groups.flatMap((group) => group.rules.flatMap((rule) => rule.alerts.map(shownAlert)));
  return success(limits, {}, (out) => out.json({ alerts: active }));
}

interface Filter {
  readonly excludeAlerts: boolean;
  takesGroup(group: RuleGroupState): boolean;
  takesRule(rule: RuleState): boolean;
}

async function filterOf(params: Params, turns: Turns): Promise<Filter> {
  const matchers = await params.matchers(turns);
  const type = params.get('type').toLowerCase();
  if (type !== '' && type !== 'alert' && type !== 'record') {
    throw ApiError.invalidParam('type', `not supported value ${quoteGoCut(params.get('type'))}`);
  }
  const state = oneOf(params, 'state', STATES);
  const health = oneOf(params, 'health', HEALTHS);
  const [names, groups, files] = ['rule_name[]', 'rule_group[]', 'file[]'].map((name) => new Set(params.all(name)));
  const among = (set: ReadonlySet<string>, value: string) => set.size === 0 || set.has(value);
  return {
    excludeAlerts: booleanOf(params, 'exclude_alerts'),
    takesGroup: ({ name, file }) => among(groups!, name) && among(files!, file),
    takesRule: (rule) =>
      among(names!, rule.name) &&
      (type === '' || type === rule.kind) &&
      (state === '' || (rule.kind === 'alert' && stateOf(rule) === state)) &&
      (health === '' || rule.health === health) &&
      matchesAny(rule, matchers),
  };
}

function oneOf(params: Params, name: string, values: readonly string[]): string {
  const value = params.get(name).toLowerCase();
  if (value === '' || values.includes(value)) return value;
  throw ApiError.invalidParam(name, `not supported value ${quoteGoCut(params.get(name))}`);
}

/** As Go's `strconv.ParseBool`. */
function booleanOf(params: Params, name: string): boolean {
  const text = params.get(name);
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['', '0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  const reason = `strconv.ParseBool: parsing ${quoteGoCut(text)}: invalid syntax`;
  throw ApiError.invalidParam(name, `error converting ${name}: ${reason}`);
}

function matchesAny({ labels }: RuleState, sets: readonly (readonly LabelMatcher[])[]): boolean {
  if (sets.length === 0) return true;
  const labelOf = (name: string) => {
    for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1]!;
    return '';
  };
  return sets.some((matchers) => matchers.every((matcher) => matcher.matches(labelOf(matcher.name))));
}

function pageOf(params: Params): { readonly limit: number; readonly token: string } {
  const limit = params.get('group_limit');
  const token = params.get('group_next_token');
  if (limit !== '' && !(Number(limit) > 0 && Number.isInteger(Number(limit)))) {
    throw ApiError.invalidParam('group_limit', 'group_limit needs to be greater than 0');
  }
  if (token !== '' && limit === '') {
    const reason = 'group_limit needs to be present in order to paginate over the groups';
    throw ApiError.invalidParam('group_next_token', reason);
  }
  return { limit: Number(limit), token };
}

function tokenOf({ file, name }: RuleGroupState): string {
  return createHash('sha256').update(`${file};${name}`).digest('hex');
}

function shownGroup(group: RuleGroupState, taken: readonly RuleState[], excludeAlerts: boolean): object {
  return {
    name: group.name,
    file: group.file,
    rules: taken.map((rule) => (rule.kind === 'alert' ? shownAlerting(rule, excludeAlerts) : shownRecording(rule))),
    interval: group.intervalMs / 1000,
    limit: group.limit,
    evaluationTime: group.evaluationMs / 1000,
    lastEvaluation: shownTime(group.evaluatedAtMs),
  };
}

function shownAlerting(rule: RuleState, excludeAlerts: boolean): object {
  return {
    state: stateOf(rule),
    name: rule.name,
    query: rule.query,
    duration: rule.forMs / 1000,
    keepFiringFor: rule.keepFiringForMs / 1000,
    labels: recordOf(rule.labels),
    annotations: recordOf(rule.annotations),
    alerts: excludeAlerts ? null : rule.alerts.map(shownAlert),
    ...outcomeOf(rule),
    type: 'alerting',
  };
}

function shownRecording(rule: RuleState): object {
  return {
    name: rule.name,
    query: rule.query,
    labels: recordOf(rule.labels),
    ...outcomeOf(rule),
    type: 'recording',
  };
}

function outcomeOf({ health, lastError, evaluationMs, evaluatedAtMs }: RuleState): object {
  return {
    health,
    ...(lastError === undefined ? {} : { lastError }),
    evaluationTime: evaluationMs / 1000,
    lastEvaluation: shownTime(evaluatedAtMs),
  };
}

function shownAlert(alert: ActiveAlert): object {
  return {
    labels: recordOf(alert.labels),
    annotations: recordOf(alert.annotations),
    state: alert.state,
    activeAt: shownTime(alert.activeAtMs),
    ...(alert.keepFiringSinceMs === undefined ? {} : { keepFiringSince: shownTime(alert.keepFiringSinceMs) }),
    value: formatExponent(alert.value),
  };
}

/** The worst of its alerts; unknown before the first evaluation. */
function stateOf({ alerts: active, evaluatedAtMs }: RuleState): State {
  if (active.some(({ state }) => state === 'firing')) return 'firing';
  if (active.length > 0) return 'pending';
  return evaluatedAtMs === undefined ? 'unknown' : 'inactive';
}

/** @param pairs name, value, … */
export function recordOf(pairs: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let i = 0; i < pairs.length; i += 2) record[pairs[i]!] = pairs[i + 1]!;
  return record;
}

/** As Go writes times: no zeros at the end of a fraction. */
function shownTime(timeMs: number | undefined): string {
  if (timeMs === undefined) return NEVER;
  return new Date(timeMs).toISOString().replace(/\.?0+Z$/, 'Z');
}
