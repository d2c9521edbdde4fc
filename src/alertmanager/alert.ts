import { compareUtf8, quoteGo } from '../model/labels.ts';
import { compareLabels, fingerprintOf, type LabelSet } from './label-set.ts';
import { isLabelName } from './matcher-parser.ts';

/** An alert as it is kept: of one label set there is one. */
export interface Alert {
  readonly labels: LabelSet;
  readonly annotations: LabelSet;
  readonly startsAtMs: number;
  /** Until then it counts as firing. */
  readonly endsAtMs: number;
  readonly generatorUrl: string;
  readonly fingerprint: string;
  readonly updatedAtMs: number;
  /** `endsAtMs` was not given: it is when the sender is no longer believed. */
  readonly isTimeout: boolean;
}

/** An alert as a sender gives it. */
export interface GivenAlert {
  readonly labels: LabelSet;
  readonly annotations: LabelSet;
  readonly startsAtMs?: number;
  readonly endsAtMs?: number;
  readonly generatorUrl: string;
}

/** Why an alert is not taken. The text is the Alertmanager's. */
export class AlertError extends Error {}

/** @throws AlertError */
export function alertOf(given: GivenAlert, nowMs: number, resolveTimeoutMs: number): Alert {
  const startsAtMs = given.startsAtMs ?? given.endsAtMs ?? nowMs;
  const endsAtMs = given.endsAtMs ?? nowMs + resolveTimeoutMs;
  const labels = new Map([...given.labels].filter(([, value]) => value !== ''));
  if (endsAtMs < startsAtMs) throw new AlertError('start time must be before end time');
  if (labels.size === 0) throw new AlertError('at least one label pair required');
  check(labels, 'invalid label set');
  check(given.annotations, 'invalid annotations');
  return {
    labels,
    annotations: given.annotations,
    startsAtMs,
    endsAtMs,
    generatorUrl: given.generatorUrl,
    fingerprint: fingerprintOf(labels),
    updatedAtMs: nowMs,
    isTimeout: given.endsAtMs === undefined,
  };
}

function check(labels: LabelSet, what: string): void {
  for (const [name, value] of labels) {
    if (!isLabelName(name)) throw new AlertError(`${what}: invalid name ${quoteGo(name)}`);
    if (!value.isWellFormed()) throw new AlertError(`${what}: invalid value ${quoteGo(value)}`);
  }
}

export function isResolved(alert: Alert, nowMs: number): boolean {
  return alert.endsAtMs <= nowMs;
}

/** The alert to be kept when a newer one of the same labels comes. */
export function joined(old: Alert | undefined, next: Alert, nowMs: number): Alert {
  if (old === undefined) return next;
  const endsWithin = next.endsAtMs > old.startsAtMs && next.endsAtMs < old.endsAtMs;
  const startsWithin = next.startsAtMs > old.startsAtMs && next.startsAtMs < old.endsAtMs;
  return endsWithin || startsWithin ? merged(old, next, nowMs) : next;
}

/** The earliest start; an end that was given beats one that was not. */
function merged(old: Alert, next: Alert, nowMs: number): Alert {
  if (next.updatedAtMs < old.updatedAtMs) return merged(next, old, nowMs);
  const startsAtMs = Math.min(old.startsAtMs, next.startsAtMs);
  const isLater = old.endsAtMs > next.endsAtMs;
  const keepsEnd = isResolved(next, nowMs) ? isResolved(old, nowMs) && isLater : isLater && !old.isTimeout;
  return { ...next, startsAtMs, endsAtMs: keepsEnd ? old.endsAtMs : next.endsAtMs };
}

/** By job, instance, then labels; alerts without the label come last. */
export function compareAlerts(a: Alert, b: Alert): number {
  for (const name of ['job', 'instance']) {
    const [ours, theirs] = [a.labels.get(name), b.labels.get(name)];
    if (ours === undefined && theirs === undefined) continue;
    if (ours === undefined) return 1;
    if (theirs === undefined) return -1;
    const order = compareUtf8(ours, theirs);
    if (order !== 0) return order;
  }
  return compareLabels(a.labels, b.labels);
}
