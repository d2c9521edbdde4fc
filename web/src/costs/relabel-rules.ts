import { parseMatchers } from '../model/matchers.ts';

/**
 * Relabelling that drops series and labels; empty where there is nothing to drop, or the selector cannot be written so: one step can
 * drop what matches all of several expressions, and none what does not match one.
 */
export function relabelRules(selector: string, labels: string): string {
  const steps = [dropStep(selector.trim()), labelStep(labels.split(/[\s,]+/).filter((name) => name !== ''))];
  return steps.filter((step) => step !== undefined).join('\n');
}

function dropStep(selector: string): string | undefined {
  if (selector === '') return undefined;
  const [, name = '', rest = ''] = /^([a-zA-Z_:][\w:]*)?\s*(?:\{([\s\S]*)\})?$/.exec(selector) ?? [];
  const matchers = parseMatchers(rest);
  if (matchers === undefined || matchers.some(({ isEqual }) => !isEqual)) return undefined;
  const all = [...(name === '' ? [] : [{ name: '__name__', value: name, isRegex: false }]), ...matchers];
  if (all.length === 0) return undefined;
  const sources = all
    .map((each) => (/^[a-zA-Z_]\w*$/.test(each.name) ? each.name : JSON.stringify(each.name)))
    .join(', ');
  const regex = all.map(({ value, isRegex }) => (isRegex ? `(?:${value})` : escaped(value))).join(';');
  return `- action: drop\n  source_labels: [${sources}]\n  regex: ${JSON.stringify(regex)}`;
}

function labelStep(labels: readonly string[]): string | undefined {
  if (labels.length === 0) return undefined;
  return `- action: labeldrop\n  regex: ${JSON.stringify(labels.map(escaped).join('|'))}`;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
