const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
  d: 86400e3,
  w: 604800e3,
  y: 31536000e3,
};

/** `1h30m`, `15s`, `1.5h`, `0` → milliseconds. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwy])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new RangeError(`${text === '' ? 'nothing' : text} is not a duration (like 1h30m or 15s)`);
  }
  return Math.round(parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * UNIT_MS[unit!]!, 0));
}

/** Milliseconds → the shortest text that `parseDuration` reads as the same. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let left = ms;
  let text = '';
  for (const unit of ['y', 'w', 'd', 'h', 'm', 's', 'ms']) {
    const size = UNIT_MS[unit]!;
    // years and weeks only where nothing is left over: 36500d is read more easily than 100y
    if ((unit === 'y' || unit === 'w') && left % size !== 0) continue;
    const amount = Math.floor(left / size);
    if (amount === 0) continue;
    text += `${amount}${unit}`;
    left -= amount * size;
  }
  return text;
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `512KiB`, `3GiB`, `1000` → bytes. */
export function parseBytes(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([KMGT]i?B|B)?$/.exec(text) ?? [];
  if (amount === undefined) {
    throw new RangeError(`${text === '' ? 'nothing' : text} is not a size (like 512KiB or 3GiB)`);
  }
  return Math.floor(Number(amount) * UNIT_BYTES[unit ?? '']!);
}

/** Bytes → the shortest text that `parseBytes` reads as the same. */
export function formatBytes(size: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const one = UNIT_BYTES[unit]!;
    if (size >= one && size % one === 0) return `${size / one}${unit}`;
  }
  return String(size);
}
