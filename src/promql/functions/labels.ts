import { RE2JS } from 're2js';
import { errors } from '../../model/errors.ts';
import { type Labels, METRIC_NAME } from '../../model/labels.ts';
import type { OutputSeries } from '../row/row.ts';

/** What a function makes of a series' labels. */
export type Relabel = (series: OutputSeries) => OutputSeries;

/** `label_replace(v, dst, replacement, src, regex)`. @throws where `regex` or `dst` is none */
export function labelReplace(dst: string, replacement: string, src: string, regex: string): Relabel {
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(`^(?s:${regex})$`);
  } catch {
    throw errors.queryFailed({ text: `invalid regular expression in label_replace(): ${regex}` });
  }
  if (!isLabelName(dst)) {
    throw errors.queryFailed({ text: `invalid destination label name in label_replace(): ${dst}` });
  }
  const template = parseTemplate(replacement);
  const names = pattern.namedGroups();
  return (series) => {
    const matcher = pattern.matcher(series.labels.get(src));
    if (!matcher.find()) return series;
    const groups = matcher.groupCount();
    const value = template
      .map((part) => {
        if (part.kind === 'text') return part.text;
        const named = names[part.name];
        const group = /^\d+$/.test(part.name) ? Number(part.name) : named;
        return group === undefined || group > groups ? '' : (matcher.group(group) ?? '');
      })
      .join('');
    return relabelled(series, dst, value);
  };
}

/** `label_join(v, dst, separator, src…)`. @throws where one of the names is none */
export function labelJoin(dst: string, separator: string, sources: readonly string[]): Relabel {
  for (const source of sources) {
    if (!isLabelName(source)) {
      throw errors.queryFailed({ text: `invalid source label name in label_join(): ${source}` });
    }
  }
  if (!isLabelName(dst)) {
    throw errors.queryFailed({ text: `invalid destination label name in label_join(): ${dst}` });
  }
  return (series) => relabelled(series, dst, sources.map((source) => series.labels.get(source)).join(separator));
}

function relabelled(series: OutputSeries, dst: string, value: string): OutputSeries {
  const labels: Labels = series.labels.with(dst, value);
  // who sets the name means it to stay
  return { labels, dropName: dst === METRIC_NAME ? false : series.dropName };
}

/** In UTF-8 names anything goes, but for nothing at all and what is no Unicode. */
export function isLabelName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !name.includes('\uFFFD');
}

type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'group'; readonly name: string };

/** As Go's `regexp.Expand`: `$1`, `${1}`, `$name`, `$$`; a `$` that begins none of them stays. */
function parseTemplate(template: string): TemplatePart[] {
  const parts: TemplatePart[] = [];
  const pattern = /\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu;
  let at = 0;
  for (const match of template.matchAll(pattern)) {
    parts.push({ kind: 'text', text: template.slice(at, match.index) });
    const name = match[1] ?? match[2];
    parts.push(name === undefined ? { kind: 'text', text: '$' } : { kind: 'group', name });
    at = match.index + match[0].length;
  }
  parts.push({ kind: 'text', text: template.slice(at) });
  return parts;
}

/** Whether `a` comes before `b` where runs of digits count as numbers. Source: facette/natsort, as Prometheus uses it. */
export function naturallyBefore(a: string, b: string): boolean {
  const chunksA = a.match(/\d+|\D+/g) ?? [''];
  const chunksB = b.match(/\d+|\D+/g) ?? [''];
  for (let i = 0; i < chunksA.length; i++) {
    if (i >= chunksB.length) return false;
    const x = chunksA[i]!;
    const y = chunksB[i]!;
    const numbers = /^\d/.test(x) && /^\d/.test(y);
    const equal = numbers ? BigInt(x) === BigInt(y) : x === y;
    if (!equal) return numbers ? BigInt(x) < BigInt(y) : x < y;
    if (i === chunksA.length - 1) return true;
    if (i === chunksB.length - 1) return false;
  }
  return false;
}
