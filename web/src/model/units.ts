// Units of values, and how they are printed: SI for counts, IEC for bytes, times in the unit that fits.

export type Unit =
  | 'number'
  | 'bytes'
  | 'bytes/s'
  | 'seconds'
  | 'percent'
  /** 100 is the whole. */
  | 'percent-100'
  | 'milliseconds'
  | 'bits/s'
  | 'per-second'
  | 'timestamp'
  | 'celsius'
  | 'hertz';

const SI = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const IEC = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const SMALL = ['', 'm', 'µ', 'n', 'p'];

/** At most four digits that matter, then the unit: `1.5 MiB`, `250 ms`, `12 %`. */
export function printValue(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  switch (unit) {
    case 'bytes':
      return scaled(value, 1024, IEC, 'B');
    case 'bytes/s':
      return scaled(value, 1024, IEC, 'B/s');
    case 'seconds':
      return seconds(value);
    case 'percent':
      return `${digits(value * 100)} %`;
    case 'percent-100':
      return `${digits(value)} %`;
    case 'milliseconds':
      return seconds(value / 1000);
    case 'bits/s':
      return scaled(value, 1000, SI, 'b/s');
    case 'per-second':
      return withSmall(value, '/s');
    case 'timestamp':
      return new Date(value * 1000).toISOString().replace('T', ' ').slice(0, 19);
    case 'celsius':
      return `${digits(value)} °C`;
    case 'hertz':
      return scaled(value, 1000, SI, 'Hz');
    case 'number':
      return withSmall(value, '');
  }
}

function withSmall(value: number, unit: string): string {
  const size = Math.abs(value);
  if (size === 0 || size >= 0.001) return scaled(value, 1000, SI, unit);
  return value.toPrecision(3).replace(/\.?0+e/, 'e') + unit;
}

function scaled(value: number, base: number, prefixes: readonly string[], unit: string): string {
  let power = 0;
  let shown = value;
  while (Math.abs(shown) >= base && power < prefixes.length - 1) {
    shown /= base;
    power++;
  }
  const suffix = `${prefixes[power]}${unit}`;
  return suffix === '' || suffix === '/s' ? `${digits(shown)}${suffix}` : `${digits(shown)} ${suffix}`;
}

function seconds(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return '0 s';
  if (size < 1) {
    let power = 0;
    let shown = value;
    while (Math.abs(shown) < 0.9995 && power < SMALL.length - 1) {
      shown *= 1000;
      power++;
    }
    return `${digits(shown)} ${SMALL[power]}s`;
  }
  if (size < 120) return `${digits(value)} s`;
  if (size < 7_200) return `${digits(value / 60)} min`;
  if (size < 172_800) return `${digits(value / 3_600)} h`;
  return `${digits(value / 86_400)} d`;
}

function digits(value: number): string {
  return String(Number(value.toPrecision(4)));
}

const NAMED: readonly (readonly [RegExp, Unit])[] = [
  [/_timestamp_seconds$|(^|_)(node|boot|start|end|created|expiry|modified)_time_seconds$/, 'timestamp'],
  [/_bytes$/, 'bytes'],
  [/_seconds$/, 'seconds'],
  [/_ratio$|_percent_ratio$/, 'percent'],
  [/_celsius$/, 'celsius'],
  [/_hertz$/, 'hertz'],
];

/** The unit of what an expression gives, as far as the names in it tell; `metadataUnit` is that of its one metric. */
export function unitOf(expr: string, metadataUnit = ''): Unit {
  const names = expr.match(/[a-zA-Z_:][\w:]*/g) ?? [];
  const metric = names.find((name) => /_(bytes|seconds|ratio|celsius|hertz|total|count|sum|bucket)$/.test(name));
  const isRate = /\b(rate|irate|deriv)\s*\(/.test(expr);
  const isQuantile = /\bhistogram_(quantile|avg)\s*\(/.test(expr);
  if (isDividedByItsLike(expr)) return isQuantile ? 'seconds' : 'number';
  if (
    /\b(count|count_values|group|absent|absent_over_time|changes|resets|count_over_time|present_over_time)\s*[(b]/.test(
      expr,
    )
  ) {
    return 'number';
  }
  const base = metric?.replace(/_(total|count|sum|bucket)$/, '') ?? '';
  const isCount = metric?.endsWith('_count') === true;
  const named = isCount ? 'number' : (NAMED.find(([form]) => form.test(base))?.[1] ?? unitNamed(metadataUnit));
  // a counter, and what a histogram observes, are no moments: `process_start_time_seconds_total` would count seconds
  const byName = named === 'timestamp' && base !== metric ? 'seconds' : named;
  if (byName === 'timestamp') return /time\(\)\s*-|-\s*\w+_time/.test(expr) ? 'seconds' : 'timestamp';
  if (isQuantile) return byName;
  if (!isRate) return byName;
  if (byName === 'bytes') return 'bytes/s';
  // seconds a second are a share of one processor, or of the time
  if (byName === 'seconds') return 'number';
  return 'per-second';
}

function isDividedByItsLike(expr: string): boolean {
  const sides = expr.replace(/\{[^}]*\}|"[^"]*"|'[^']*'/g, '').split('/');
  return sides.length === 2 && sides.every((side) => /[a-z_]\w*_\w+/i.test(side));
}

function unitNamed(name: string): Unit {
  switch (name) {
    case 'bytes':
    case 'By':
      return 'bytes';
    case 'seconds':
    case 's':
      return 'seconds';
    case 'ratio':
    case '1':
      return name === 'ratio' ? 'percent' : 'number';
    case 'celsius':
      return 'celsius';
    default:
      return 'number';
  }
}
