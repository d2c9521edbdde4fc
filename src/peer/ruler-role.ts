import type { ActiveAlert, RuleGroupState, RuleState } from '../contract/rules.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import type { RpcCaller, RpcRole } from '../kit/rpc/role.ts';
import { tenantOf } from './requests.ts';
import { countOf, fieldsOf, listOf, numberOf, optional, textOf, wrongShape } from './shapes.ts';

const TEXT_CHARS_MAX = 4 * 1024 * 1024;
const GROUPS_MAX = 100_000;
const RULES_MAX = 100_000;
const ALERTS_MAX = 1_000_000;
const PAIRS_MAX = 100_000;

/** The groups of a tenant that a process evaluates itself. */
export type OwnRules = (tenant: string, signal: AbortSignal) => Promise<readonly RuleGroupState[]>;

/** The method by which rulers ask each other; `remoteRules` is the other end. */
export function rulerRole(own: OwnRules): RpcRole {
  return {
    async rulerRules({ head }, { signal }) {
      const { tenant } = fieldsOf(head, 'rulerRules');
      return { body: encodeValue(await own(tenantOf(tenant), signal)) };
    },
  };
}

/** The groups that another process evaluates. */
export function remoteRules(caller: RpcCaller): OwnRules {
  return async (tenant, signal) => {
    const { body } = await caller.call('rulerRules', { tenant }, undefined, { signal });
    return listOf(decodeValue(body), 'groups', GROUPS_MAX, groupOf);
  };
}

function groupOf(value: unknown): RuleGroupState {
  const { name, file, intervalMs, limit, evaluationMs, evaluatedAtMs, rules } = fieldsOf(value, 'group');
  return {
    name: shortOf(name, 'name'),
    file: shortOf(file, 'file'),
    intervalMs: numberOf(intervalMs, 'intervalMs'),
    limit: countOf(limit, 'limit'),
    evaluationMs: numberOf(evaluationMs, 'evaluationMs'),
    evaluatedAtMs: optional(evaluatedAtMs, (each) => numberOf(each, 'evaluatedAtMs')),
    rules: listOf(rules, 'rules', RULES_MAX, ruleOf),
  };
}

function ruleOf(value: unknown): RuleState {
  const rule = fieldsOf(value, 'rule');
  return {
    kind: oneOf(rule.kind, 'kind', ['alert', 'record'] as const),
    name: shortOf(rule.name, 'name'),
    query: shortOf(rule.query, 'query'),
    labels: pairsOf(rule.labels),
    annotations: pairsOf(rule.annotations),
    forMs: numberOf(rule.forMs, 'forMs'),
    keepFiringForMs: numberOf(rule.keepFiringForMs, 'keepFiringForMs'),
    health: oneOf(rule.health, 'health', ['unknown', 'ok', 'err'] as const),
    lastError: optional(rule.lastError, (each) => shortOf(each, 'lastError')),
    evaluationMs: numberOf(rule.evaluationMs, 'evaluationMs'),
    evaluatedAtMs: optional(rule.evaluatedAtMs, (each) => numberOf(each, 'evaluatedAtMs')),
    alerts: listOf(rule.alerts, 'alerts', ALERTS_MAX, alertOf),
  };
}

function alertOf(given: unknown): ActiveAlert {
  const { labels, annotations, state, activeAtMs, keepFiringSinceMs, value } = fieldsOf(given, 'alert');
  // a value may be NaN, where it stands for a histogram
  if (typeof value !== 'number') throw wrongShape('value');
  return {
    labels: pairsOf(labels),
    annotations: pairsOf(annotations),
    state: oneOf(state, 'state', ['pending', 'firing'] as const),
    activeAtMs: numberOf(activeAtMs, 'activeAtMs'),
    keepFiringSinceMs: optional(keepFiringSinceMs, (each) => numberOf(each, 'keepFiringSinceMs')),
    value,
  };
}

function shortOf(value: unknown, name: string): string {
  return textOf(value, name, TEXT_CHARS_MAX);
}

function pairsOf(value: unknown): readonly string[] {
  return listOf(value, 'pairs', PAIRS_MAX, (text) => shortOf(text, 'pairs'));
}

function oneOf<const T extends string>(value: unknown, name: string, of: readonly T[]): T {
  const found = of.find((each) => each === value);
  if (found === undefined) throw wrongShape(name);
  return found;
}
