/** Parts of a Unix time in seconds, in UTC, for every second that an int64 counts. What is none of them counts as its smallest, as in Go. */

/** The Gregorian calendar repeats itself, days of the week included. */
const ERA_YEARS = 400;
const ERA_SECONDS = 146_097n * 86_400n;
/** Beyond it JavaScript has no dates. */
const DATE_SECONDS_MAX = 8.64e12;
/** Go counts years from here on, in unsigned seconds: what lies before comes out at the other end. */
const ABSOLUTE_START = -((292_277_022_400n * 146_097n) / 400n + 306n) * 86_400n;

export const dayOfMonth = partOf((date) => date.getUTCDate());
export const dayOfWeek = partOf((date) => date.getUTCDay());
export const dayOfYear = partOf(
  (date) => Math.floor((date.getTime() - startOfMonth(date.getUTCFullYear(), 0).getTime()) / 86_400_000) + 1,
);
export const daysInMonth = partOf((date) => {
  const next = startOfMonth(date.getUTCFullYear(), date.getUTCMonth() + 1);
  return new Date(next.getTime() - 1).getUTCDate();
});
export const hour = partOf((date) => date.getUTCHours());
export const minute = partOf((date) => date.getUTCMinutes());
export const month = partOf((date) => date.getUTCMonth() + 1);
export const year = partOf((date, erasBefore) => date.getUTCFullYear() + ERA_YEARS * erasBefore);

/** @param part of a date that so many eras have been taken from */
function partOf(part: (date: Date, erasBefore: number) => number): (seconds: number) => number {
  return (seconds) => {
    const whole = Math.trunc(seconds);
    if (Math.abs(whole) < DATE_SECONDS_MAX) return part(new Date(whole * 1000), 0);
    let exact = Math.abs(whole) < 2 ** 63 ? BigInt(whole) : -(2n ** 63n);
    if (exact < ABSOLUTE_START) exact += 2n ** 64n;
    const eras = exact / ERA_SECONDS;
    return part(new Date(Number(exact - eras * ERA_SECONDS) * 1000), Number(eras));
  };
}

/** `Date.UTC` takes the years 0 to 99 for those of the last century. */
function startOfMonth(fullYear: number, monthIndex: number): Date {
  const date = new Date(0);
  date.setUTCFullYear(fullYear, monthIndex, 1);
  return date;
}
