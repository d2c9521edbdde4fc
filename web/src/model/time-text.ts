/** Moments as text, in local time or UTC: `2026-11-29 06:30:00`. */
export function printMoment(ms: number, zone: 'local' | 'utc', withDate = true): string {
  const at = zone === 'utc' ? new Date(ms) : new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  const text = at.toISOString();
  return withDate ? `${text.slice(0, 10)} ${text.slice(11, 19)}` : text.slice(11, 19);
}

/** A text as `printMoment` writes it; seconds may be left out. */
export function readMoment(text: string, zone: 'local' | 'utc'): number | undefined {
  const parts = /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text.trim());
  if (parts === null) return undefined;
  const [year, month, day, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0));
  const ms =
    zone === 'utc'
      ? Date.UTC(year!, month! - 1, day, hours, minutes, seconds)
      : new Date(year!, month! - 1, day, hours, minutes, seconds).getTime();
  return Number.isFinite(ms) ? ms : undefined;
}

/** `UTC`, `UTC+2`, `UTC-3:30` */
export function zoneName(ms: number, zone: 'local' | 'utc'): string {
  const minutes = zone === 'utc' ? 0 : -new Date(ms).getTimezoneOffset();
  if (minutes === 0) return 'UTC';
  const size = Math.abs(minutes);
  const rest = size % 60 === 0 ? '' : `:${String(size % 60).padStart(2, '0')}`;
  return `UTC${minutes < 0 ? '-' : '+'}${Math.floor(size / 60)}${rest}`;
}
