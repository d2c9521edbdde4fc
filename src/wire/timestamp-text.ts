/** Seconds with three digits behind the point, or none. */
export function formatTimestamp(timeMs: number): string {
  const whole = Math.abs(timeMs);
  const fraction = whole % 1000;
  const seconds = `${timeMs < 0 ? '-' : ''}${(whole - fraction) / 1000}`;
  return fraction === 0 ? seconds : `${seconds}.${String(fraction).padStart(3, '0')}`;
}
