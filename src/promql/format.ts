import { formatG } from '../lib/go-float.ts';

/** Go's `%.2g`: two digits, for numbers that are only to give an idea. */
export function formatRough(value: number): string {
  if (!Number.isFinite(value) || value === 0) return formatG(value);
  const [digits, exponentText] = value.toExponential(1).split('e');
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 2) return formatG(Number(value.toExponential(1)));
  const sign = exponent < 0 ? '-' : '+';
  return `${digits!.replace('.0', '')}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

/** Go's `strconv.FormatFloat(value, 'f', -1, 64)`: never an exponent. */
export function formatF(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  const [mantissa, exponentText] = text.split('e');
  if (exponentText === undefined) return text;
  const exponent = Number(exponentText);
  const negative = mantissa!.startsWith('-');
  const [whole, fraction = ''] = mantissa!.replace('-', '').split('.');
  const digits = whole! + fraction;
  const point = whole!.length + exponent;
  const plain =
    point <= 0
      ? `0.${'0'.repeat(-point)}${digits}`
      : point >= digits.length
        ? digits + '0'.repeat(point - digits.length)
        : `${digits.slice(0, point)}.${digits.slice(point)}`;
  return negative ? `-${plain}` : plain;
}

/** As OpenMetrics writes a quantile or bound: `1.0`, `0.5`, `+Inf`. */
export function formatOpenMetrics(value: number): string {
  if (value === 1) return '1.0';
  if (value === 0) return '0.0';
  if (value === -1) return '-1.0';
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const text = formatG(value);
  return /[e.]/.test(text) ? text : `${text}.0`;
}
