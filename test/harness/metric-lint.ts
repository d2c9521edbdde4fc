/** Base units, by unit: what `promtool check metrics` knows. */
const BASE_UNITS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['amperes', 'bytes', 'celsius', 'grams', 'joules', 'kelvin', 'meters', 'metres', 'seconds', 'volts'].map((unit) => [
      unit,
      unit,
    ]),
  ),
  ...Object.fromEntries(['minutes', 'hours', 'days', 'weeks'].map((unit) => [unit, 'seconds'])),
  ...{ kelvins: 'kelvin', fahrenheit: 'celsius', rankine: 'celsius', inches: 'meters', yards: 'meters' },
  ...{ miles: 'meters', bits: 'bytes', calories: 'joules', pounds: 'grams', ounces: 'grams' },
};
const PREFIXED =
  /^(?:pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mebi|giga|gibi|tera|tebi|peta|pebi)(.+)$/;
const ABBREVIATED = /_(?:s|ms|us|ns|sec|b|kb|mb|gb|tb|pb|m|h|d)(?:_|$)/;

interface Family {
  readonly name: string;
  type: string;
  hasHelp: boolean;
  readonly labels: Set<string>;
  readonly series: string[];
}

/**
 * Problems with names, types and labels of an exposition, as `promtool check metrics` says them, a line each. Source: client_golang
 * `prometheus/testutil/promlint/validations`.
 */
export function lintMetrics(text: string): string[] {
  return familiesOf(text).flatMap((family) => [...problemsOf(family)].map((problem) => `${family.name} ${problem}`));
}

function familiesOf(text: string): Family[] {
  const families = new Map<string, Family>();
  const of = (name: string) => {
    const known = families.get(name);
    if (known !== undefined) return known;
    const made: Family = { name, type: 'untyped', hasHelp: false, labels: new Set(), series: [] };
    families.set(name, made);
    return made;
  };
  for (const line of text.split('\n')) {
    const [, what, of_, value] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? [];
    if (what === 'HELP') of(of_!).hasHelp = value !== '';
    else if (what === 'TYPE') of(of_!).type = value!;
    if (line === '' || line.startsWith('#')) continue;
    const [series, name, labels] = /^([^\s{]+)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?/.exec(line)!;
    const stem = name!.replace(/_(?:bucket|count|sum)$/, '');
    const family = of(['histogram', 'summary'].includes(families.get(stem)?.type ?? '') ? stem : name!);
    family.series.push(series);
    for (const [, label] of (labels ?? '').matchAll(/([A-Za-z_]\w*)="(?:[^"\\]|\\.)*"/g)) family.labels.add(label!);
  }
  return [...families.values()];
}

function* problemsOf({ name, type, hasHelp, labels, series }: Family): Generator<string> {
  const typed = type !== 'untyped';
  if (!hasHelp) yield 'no help text';
  if (type === 'counter' && !name.endsWith('_total')) yield 'counter metrics should have "_total" suffix';
  if (typed && type !== 'counter' && name.endsWith('_total')) {
    yield 'non-counter metrics should not have "_total" suffix';
  }
  if (new Set(series).size < series.length) yield 'metric not unique';
  const unit = name.split('_').find((part) => baseOf(part) !== undefined);
  if (unit !== undefined && baseOf(unit) !== unit) yield `use base unit "${baseOf(unit)}" instead of "${unit}"`;
  if (typed && `${name}_`.includes(`_${type}_`)) yield `metric name should not include type '${type}'`;
  if (name.includes(':')) yield "metric names should not contain ':'";
  if (/[a-z][A-Z]/.test(name)) yield "metric names should be written in 'snake_case' not 'camelCase'";
  if (ABBREVIATED.test(name)) yield 'metric names should not contain abbreviated units';
  if (typed && type !== 'histogram' && name.endsWith('_bucket')) {
    yield 'non-histogram metrics should not have "_bucket" suffix';
  }
  const [part] = /_(?:count|sum)$/.exec(name) ?? [];
  if (typed && type !== 'histogram' && type !== 'summary' && part !== undefined) {
    yield `non-histogram and non-summary metrics should not have "${part}" suffix`;
  }
  for (const label of labels) {
    if (/[a-z][A-Z]/.test(label)) yield "label names should be written in 'snake_case' not 'camelCase'";
    if (typed && type !== 'histogram' && label === 'le') yield 'non-histogram metrics should not have "le" label';
    if (typed && type !== 'summary' && label === 'quantile')
      yield 'non-summary metrics should not have "quantile" label';
  }
}

function baseOf(part: string): string | undefined {
  return BASE_UNITS[part] ?? BASE_UNITS[PREFIXED.exec(part)?.[1] ?? ''];
}
