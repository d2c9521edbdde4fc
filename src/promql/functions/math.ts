/** From here on e^−x no longer shows in sinh and cosh. Go makes them of e^x then, which is infinite a little before they are. */
const EXP_ALONE = 21;

export function cosh(value: number): number {
  return Math.abs(value) > EXP_ALONE ? Math.exp(Math.abs(value)) * 0.5 : Math.cosh(value);
}

export function sinh(value: number): number {
  return Math.abs(value) > EXP_ALONE ? Math.sign(value) * Math.exp(Math.abs(value)) * 0.5 : Math.sinh(value);
}

/** `sgn`: zeros and NaN stay what they are. */
export function sign(value: number): number {
  return value < 0 ? -1 : value > 0 ? 1 : value;
}

/** By one factor: `value * 180` overflows where the result does not. */
export function toDegrees(value: number): number {
  return value * (180 / Math.PI);
}

export function toRadians(value: number): number {
  return value * (Math.PI / 180);
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
