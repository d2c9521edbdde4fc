/** From here on e^−x no longer shows in sinh and cosh. Go makes them of e^x then, which is infinite a little before they are. */
const EXP_ALONE = 21;

/** Functions of one float; histograms are left out of their results. */
export const mathFunctions: Readonly<Record<string, (value: number) => number>> = {
  abs: Math.abs,
  acos: Math.acos,
  acosh: Math.acosh,
  asin: Math.asin,
  asinh: Math.asinh,
  atan: Math.atan,
  atanh: Math.atanh,
  ceil: Math.ceil,
  cos: Math.cos,
  cosh: (value) => (Math.abs(value) > EXP_ALONE ? Math.exp(Math.abs(value)) * 0.5 : Math.cosh(value)),
  deg: (value) => (value * 180) / Math.PI,
  exp: Math.exp,
  floor: Math.floor,
  ln: Math.log,
  log10: Math.log10,
  log2: Math.log2,
  rad: (value) => (value * Math.PI) / 180,
  sgn: (value) => (value < 0 ? -1 : value > 0 ? 1 : value),
  sin: Math.sin,
  sinh: (value) =>
    Math.abs(value) > EXP_ALONE ? Math.sign(value) * Math.exp(Math.abs(value)) * 0.5 : Math.sinh(value),
  sqrt: Math.sqrt,
  tan: Math.tan,
  tanh: Math.tanh,
};

/** Of a Unix time in seconds, in UTC. */
export const dateFunctions: Readonly<Record<string, (seconds: number) => number>> = {
  day_of_month: ofDate((date) => date.getUTCDate()),
  day_of_week: ofDate((date) => date.getUTCDay()),
  day_of_year: ofDate((date) => Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1),
  days_in_month: ofDate((date) => new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()),
  hour: ofDate((date) => date.getUTCHours()),
  minute: ofDate((date) => date.getUTCMinutes()),
  month: ofDate((date) => date.getUTCMonth() + 1),
  year: ofDate((date) => date.getUTCFullYear()),
};

/** What JavaScript's dates do not reach gives NaN. */
function ofDate(part: (date: Date) => number): (seconds: number) => number {
  return (seconds) => part(new Date(Math.trunc(seconds) * 1000));
}

/** Go's `math.Max` and `math.Min`: an infinity wins over NaN. */
export function goMax(a: number, b: number): number {
  return a === Infinity || b === Infinity ? Infinity : Math.max(a, b);
}

export function goMin(a: number, b: number): number {
  return a === -Infinity || b === -Infinity ? -Infinity : Math.min(a, b);
}

/** To the nearest multiple; ties go up. */
export function roundTo(value: number, inverse: number): number {
  return Math.floor(value * inverse + 0.5) / inverse;
}
