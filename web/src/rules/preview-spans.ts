import type { AlertChange } from './api.ts';
import type { StateSpan } from './timeline.tsx';

/** Spans between the changes of an alert, the last one up to the end. */
export function spansOf(changes: readonly AlertChange[], endMs: number): StateSpan[] {
  return changes.flatMap(({ time, state }, i): StateSpan[] => {
    if (state === 'inactive') return [];
    const next = changes[i + 1];
    return [{ fromMs: time * 1000, toMs: next === undefined ? endMs : next.time * 1000, state }];
  });
}

/** The name of a group in YAML, as far as it stands in a line of its own; the server reads it truly. */
export function groupNameIn(text: string): string | undefined {
  const found = /^name:[ \t]*(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^#\n]*?))[ \t]*(?:#.*)?$/m.exec(text);
  if (found === null) return undefined;
  const [, double, single, plain] = found;
  if (double !== undefined) {
    try {
      return JSON.parse(`"${double}"`) as string;
    } catch {
      return double;
    }
  }
  return single?.replaceAll("''", "'") ?? plain;
}
