import { type Alert, isResolved } from './alert.ts';
import type { LabelSet } from './label-set.ts';
import { type Matchers, matchesAll } from './matcher.ts';

export interface InhibitRule {
  readonly name: string;
  readonly sourceMatchers: Matchers;
  readonly targetMatchers: Matchers;
  /** Labels that source and target have in common; one that is missing is as one that is empty. */
  readonly equal: readonly string[];
}

interface Sources {
  readonly rule: InhibitRule;
  /** By the values of the labels that are to be equal: all of them, so that another still inhibits when one resolves. */
  readonly byValues: Map<string, Map<string, Alert>>;
}

/** Alerts that silence others while they fire. */
export class Inhibitor {
  readonly #sources: readonly Sources[];

  constructor(rules: readonly InhibitRule[]) {
    this.#sources = rules.map((rule) => ({ rule, byValues: new Map() }));
  }

  put(alert: Alert): void {
    for (const { rule, byValues } of this.#sources) {
      if (!matchesAll(rule.sourceMatchers, alert.labels)) continue;
      const key = valuesOf(rule, alert.labels);
      const alerts = byValues.get(key);
      if (alerts === undefined) byValues.set(key, new Map([[alert.fingerprint, alert]]));
      else alerts.set(alert.fingerprint, alert);
    }
  }

  /** Forgets those that no longer fire. */
  sweep(nowMs: number): void {
    for (const { byValues } of this.#sources) {
      for (const [key, alerts] of byValues) {
        for (const alert of alerts.values()) if (isResolved(alert, nowMs)) alerts.delete(alert.fingerprint);
        if (alerts.size === 0) byValues.delete(key);
      }
    }
  }

  /** The fingerprint of an alert that inhibits these labels. One that matches both sides inhibits none that does, too. */
  inhibitedBy(labels: LabelSet, nowMs: number): string | undefined {
    for (const { rule, byValues } of this.#sources) {
      if (!matchesAll(rule.targetMatchers, labels)) continue;
      const sources = byValues.get(valuesOf(rule, labels));
      if (sources === undefined) continue;
      const isSource = matchesAll(rule.sourceMatchers, labels);
      for (const source of sources.values()) {
        if (isResolved(source, nowMs)) continue;
        if (isSource && matchesAll(rule.targetMatchers, source.labels)) continue;
        return source.fingerprint;
      }
    }
    return undefined;
  }
}

function valuesOf({ equal }: InhibitRule, labels: LabelSet): string {
  return JSON.stringify(equal.map((name) => labels.get(name) ?? ''));
}
