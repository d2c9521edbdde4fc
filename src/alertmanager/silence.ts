import { quoteGo } from '../model/labels.ts';
import type { LabelSet } from './label-set.ts';
import { Matcher, MatcherError, type MatcherOp, type Matchers, matchesAll } from './matcher.ts';
import { isLabelName } from './matcher-parser.ts';

export interface Silence {
  readonly id: string;
  readonly matchers: Matchers;
  readonly startsAtMs: number;
  readonly endsAtMs: number;
  readonly updatedAtMs: number;
  readonly createdBy: string;
  readonly comment: string;
  readonly annotations: LabelSet;
}

export type SilenceState = 'active' | 'pending' | 'expired';

/** Why a silence is not taken. The text is the Alertmanager's. */
export class SilenceError extends Error {}

/** The start is inclusive, the end exclusive. */
export function silenceState({ startsAtMs, endsAtMs }: Silence, nowMs: number): SilenceState {
  if (nowMs < startsAtMs) return 'pending';
  return nowMs < endsAtMs ? 'active' : 'expired';
}

/** @throws SilenceError */
export function checkSilence(silence: Silence): void {
  const { matchers, startsAtMs, endsAtMs } = silence;
  const invalid = (problem: string) => new SilenceError(`invalid silence: ${problem}`);
  if (matchers.length === 0) throw invalid('matcher set 0 is empty');
  matchers.forEach(({ name, value, isRegex }, i) => {
    const problem = !isLabelName(name)
      ? `invalid label name ${quoteGo(name)}`
      : !isRegex && !value.isWellFormed()
        ? `invalid label value ${quoteGo(value)}`
        : undefined;
    if (problem !== undefined) throw invalid(`invalid label matcher ${i} in set 0: ${problem}`);
  });
  if (matchers.every((matcher) => matcher.isEqual && matcher.matches(''))) {
    throw invalid('matcher set 0: at least one matcher must not match the empty string');
  }
  if (endsAtMs < startsAtMs) throw invalid('end time must not be before start time');
}

/** @throws SilenceError */
export function silenceMatcher(
  name: string,
  value: string,
  isEqual: boolean,
  isRegex: boolean,
  index: number,
): Matcher {
  const op: MatcherOp = isRegex ? (isEqual ? '=~' : '!~') : isEqual ? '=' : '!=';
  try {
    return Matcher.of(name, op, value);
  } catch (thrown) {
    if (!(thrown instanceof MatcherError)) throw thrown;
    const problem = `invalid regular expression ${quoteGo(value)}: ${thrown.message.replace(`^(?:${value})$`, value)}`;
    throw new SilenceError(`invalid silence: invalid label matcher ${index} in set 0: ${problem}`);
  }
}

/** Whether a silence may be changed in place: else the old one expires and a new one begins. */
export function canUpdate(old: Silence, next: Silence, nowMs: number): boolean {
  const texts = (matchers: Matchers) => JSON.stringify(matchers.map(({ name, op, value }) => [name, op, value]));
  if (texts(old.matchers) !== texts(next.matchers)) return false;
  switch (silenceState(old, nowMs)) {
    case 'active':
      return Math.floor(old.startsAtMs / 1000) === Math.floor(next.startsAtMs / 1000) && next.endsAtMs >= nowMs;
    case 'pending':
      return next.startsAtMs >= nowMs;
    case 'expired':
      return false;
  }
}

/** As it is from now on; undefined where it has expired already. */
export function expiredSilence(silence: Silence, nowMs: number): Silence | undefined {
  switch (silenceState(silence, nowMs)) {
    case 'active':
      return { ...silence, endsAtMs: nowMs, updatedAtMs: nowMs };
    case 'pending':
      return { ...silence, startsAtMs: nowMs, endsAtMs: nowMs, updatedAtMs: nowMs };
    case 'expired':
      return undefined;
  }
}

const STATE_RANK: Readonly<Record<SilenceState, number>> = { active: 0, pending: 1, expired: 2 };

/** Active ones first, by their end; pending ones by their start; expired ones with the newest first. */
export function sortedSilences(silences: readonly Silence[], nowMs: number): Silence[] {
  return silences.toSorted((a, b) => {
    const state = silenceState(a, nowMs);
    const rank = STATE_RANK[state] - STATE_RANK[silenceState(b, nowMs)];
    if (rank !== 0) return rank;
    if (state === 'pending') return a.startsAtMs - b.startsAtMs;
    return state === 'active' ? a.endsAtMs - b.endsAtMs : b.endsAtMs - a.endsAtMs;
  });
}

/** Ids of the active silences that match. */
export function silencedBy(silences: Iterable<Silence>, labels: LabelSet, nowMs: number): string[] {
  const ids: string[] = [];
  for (const silence of silences) {
    if (silenceState(silence, nowMs) === 'active' && matchesAll(silence.matchers, labels)) ids.push(silence.id);
  }
  return ids.sort();
}
