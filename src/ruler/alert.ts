import type { Labels } from '../model/labels.ts';

/** An alert: one label set of an alerting rule, and how long it has been so. Times in Unix ms. */
export interface Alert {
  readonly labels: Labels;
  /** name, value, … ascending by name; values may be empty. */
  readonly annotations: readonly string[];
  /** The value of the element that it stands for; NaN where that is a histogram. */
  readonly value: number;
  readonly state: AlertState;
  /** The evaluation that first found it. */
  readonly activeAtMs: number;
  readonly firedAtMs: number | undefined;
  /** The evaluation that first did not find it, while it goes on firing. */
  readonly keepFiringSinceMs: number | undefined;
  readonly resolvedAtMs: number | undefined;
}

/** An inactive alert has fired and is resolved. */
export type AlertState = 'pending' | 'firing' | 'inactive';

/** Alerts by the key of their labels. */
export type Alerts = ReadonlyMap<string, Alert>;

/** An element of a rule's result, with its labels and annotations expanded. */
export type FoundAlert = Pick<Alert, 'labels' | 'annotations' | 'value'>;

export interface AlertTiming {
  readonly forMs: number;
  readonly keepFiringForMs: number;
}

/** How long a resolved alert is kept, so that its resolution is sent again. */
const resolvedRetentionMs = 15 * 60_000;

/**
 * The alerts of a rule after an evaluation. An alert that the evaluation leaves as it was is the same object.
 * @param found what the evaluation found, by the key of the labels
 */
export function nextAlerts(
  before: Alerts,
  found: ReadonlyMap<string, FoundAlert>,
  timing: AlertTiming,
  slotMs: number,
): Alerts {
  const after = new Map<string, Alert>();
  for (const [key, alert] of before) {
    const next = nextAlert(alert, found.get(key), timing, slotMs);
    if (next !== undefined) after.set(key, next);
  }
  for (const [key, element] of found) if (!before.has(key)) after.set(key, begun(element, timing, slotMs));
  return after;
}

function nextAlert(
  alert: Alert,
  element: FoundAlert | undefined,
  timing: AlertTiming,
  slotMs: number,
): Alert | undefined {
  if (element === undefined) return withoutElement(alert, timing, slotMs);
  return alert.state === 'inactive' ? begun(element, timing, slotMs) : withElement(alert, element, timing, slotMs);
}

/** Alerts that count: towards limits, in the API, in the rule's state. */
export function isActive({ state }: Alert): boolean {
  return state !== 'inactive';
}

function begun({ labels, annotations, value }: FoundAlert, timing: AlertTiming, slotMs: number): Alert {
  const pending: Alert = {
    labels,
    annotations,
    value,
    state: 'pending',
    activeAtMs: slotMs,
    firedAtMs: undefined,
    keepFiringSinceMs: undefined,
    resolvedAtMs: undefined,
  };
  return aged(pending, timing, slotMs);
}

function withElement(alert: Alert, element: FoundAlert, timing: AlertTiming, slotMs: number): Alert {
  const { annotations, value } = element;
  const isSame =
    Object.is(alert.value, value) &&
    alert.keepFiringSinceMs === undefined &&
    alert.annotations.length === annotations.length &&
    alert.annotations.every((text, i) => text === annotations[i]);
  return aged(isSame ? alert : { ...alert, annotations, value, keepFiringSinceMs: undefined }, timing, slotMs);
}

/** Fires when it has been active for long enough; no longer where the rule now asks for more. */
function aged(alert: Alert, { forMs }: AlertTiming, slotMs: number): Alert {
  const isOld = slotMs - alert.activeAtMs >= forMs;
  if (alert.state === 'pending' && isOld) return { ...alert, state: 'firing', firedAtMs: slotMs };
  if (alert.state === 'firing' && !isOld) {
    return { ...alert, state: 'pending', firedAtMs: undefined, keepFiringSinceMs: undefined };
  }
  return alert;
}

function withoutElement(alert: Alert, timing: AlertTiming, slotMs: number): Alert | undefined {
  switch (alert.state) {
    case 'pending':
      return undefined;
    case 'inactive':
      return slotMs - alert.resolvedAtMs! > resolvedRetentionMs ? undefined : alert;
    case 'firing': {
      const sinceMs = alert.keepFiringSinceMs ?? slotMs;
      if (slotMs - sinceMs < timing.keepFiringForMs) {
        return aged(
          alert.keepFiringSinceMs === undefined ? { ...alert, keepFiringSinceMs: sinceMs } : alert,
          timing,
          slotMs,
        );
      }
      const keepFiringSinceMs = timing.keepFiringForMs > 0 ? sinceMs : alert.keepFiringSinceMs;
      return { ...alert, state: 'inactive', resolvedAtMs: slotMs, keepFiringSinceMs };
    }
  }
}
