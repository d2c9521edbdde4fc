/** Numbers as Go prints them: the fewest digits that read back as the same number. */

/** As `%g` and `%v`: with an exponent below 1e-04 and from 1e+06 on (as far as the digits allow: 1e+06, but 1234567 is 1.234567e+06). */
export function formatG(value: number): string {
  return format(value, -4, 6);
}

/** As the Prometheus API writes values: with an exponent below 1e-06 and from 1e+21 on. */
export function formatApiNumber(value: number): string {
  return format(value, -6, 21);
}

/** As `%e` with as many digits as it takes: always with an exponent. */
export function formatExponent(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0e+00' : '0e+00';
  return format(value, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
}

function format(value: number, exponentMin: number, exponentEnd: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const text = Math.abs(value).toExponential();
  const e = text.indexOf('e');
  const exponent = Number(text.slice(e + 1));
  const sign = value < 0 ? '-' : '';
  if (exponent < exponentMin || exponent >= exponentEnd) {
    const digits = Math.abs(exponent).toString().padStart(2, '0');
    return `${sign}${text.slice(0, e)}e${exponent < 0 ? '-' : '+'}${digits}`;
  }
  const digits = text.slice(0, e).replace('.', '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, '0');
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}
