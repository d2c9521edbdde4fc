import { isNode, isPair, parseDocument, stringify, visit } from 'yaml';
import { formatDuration } from '../promql/parser/duration.ts';
import type { Rule, RuleGroup } from './rule-file.ts';

/** A group as the configuration API shows it, with fields in Prometheus' order. */
export function groupYaml(group: RuleGroup): string {
  return stringify(plainGroup(group), { lineWidth: 0 });
}

/** Whether a text in YAML has comments, which are lost where it is written anew. */
export function hasComments(text: string): boolean {
  if (!text.includes('#')) return false;
  const document = parseDocument(text);
  const noted = (each: { comment?: string | null; commentBefore?: string | null }) =>
    (each.comment ?? '') !== '' || (each.commentBefore ?? '') !== '';
  let found = noted(document);
  visit(document, (_, node) => {
    const parts = isPair(node) ? [node.key, node.value] : [node];
    found ||= parts.some((part) => isNode(part) && noted(part));
    return found ? visit.BREAK : undefined;
  });
  return found;
}

/** Groups by namespace. */
export function namespacesYaml(namespaces: ReadonlyMap<string, readonly RuleGroup[]>): string {
  const plain = Object.fromEntries([...namespaces].map(([name, groups]) => [name, groups.map(plainGroup)]));
  return stringify(plain, { lineWidth: 0 });
}

/** Tenants' groups, by tenant and namespace. */
export function tenantsYaml(tenants: ReadonlyMap<string, ReadonlyMap<string, readonly RuleGroup[]>>): string {
  const plain = Object.fromEntries(
    [...tenants].map(([tenant, namespaces]) => [
      tenant,
      Object.fromEntries([...namespaces].map(([name, groups]) => [name, groups.map(plainGroup)])),
    ]),
  );
  return stringify(plain, { lineWidth: 0 });
}

function plainGroup(group: RuleGroup): object {
  return {
    name: group.name,
    ...(group.intervalMs === undefined ? {} : { interval: formatDuration(group.intervalMs) }),
    ...(group.queryOffsetMs === undefined ? {} : { query_offset: formatDuration(group.queryOffsetMs) }),
    ...(group.limit === 0 ? {} : { limit: group.limit }),
    ...mapping('labels', group.labels),
    ...(group.sourceTenants.length === 0 ? {} : { source_tenants: [...group.sourceTenants] }),
    ...(group.alignsToInterval ? { align_evaluation_time_on_interval: true } : {}),
    rules: group.rules.map(plainRule),
  };
}

function plainRule(rule: Rule): object {
  if (rule.kind === 'record') return { record: rule.name, expr: rule.expr, ...mapping('labels', rule.labels) };
  return {
    alert: rule.name,
    expr: rule.expr,
    ...(rule.forMs === 0 ? {} : { for: formatDuration(rule.forMs) }),
    ...(rule.keepFiringForMs === 0 ? {} : { keep_firing_for: formatDuration(rule.keepFiringForMs) }),
    ...mapping('labels', rule.labels),
    ...mapping('annotations', rule.annotations),
  };
}

function mapping(name: string, entries: ReadonlyMap<string, string>): object {
  return entries.size === 0 ? {} : { [name]: Object.fromEntries(entries) };
}
