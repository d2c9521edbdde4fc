/** Parts of a Unix time in seconds, in UTC. */

export const dayOfMonth = partOf((date) => date.getUTCDate());
export const dayOfWeek = partOf((date) => date.getUTCDay());
export const dayOfYear = partOf(
  (date) => Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1,
);
export const daysInMonth = partOf((date) =>
  new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate(),
);
export const hour = partOf((date) => date.getUTCHours());
export const minute = partOf((date) => date.getUTCMinutes());
export const month = partOf((date) => date.getUTCMonth() + 1);
export const year = partOf((date) => date.getUTCFullYear());

/** What JavaScript's dates do not reach gives NaN. */
function partOf(part: (date: Date) => number): (seconds: number) => number {
  return (seconds) => part(new Date(Math.trunc(seconds) * 1000));
}
