import type { EventAnswer } from '../../../src/contract/services.ts';
import type { LabelSet } from '../model/labels.ts';

/** Marks of one graph; the newest of more. */
const MARKS_MAX = 100;
const SERIES_LOOKED_AT = 100;

/** Events that are about what is drawn: those of no service, and those of a service whose name a label of a series has. */
export function eventsOf(events: readonly EventAnswer[], series: readonly LabelSet[]): readonly EventAnswer[] {
  const values = new Set(series.slice(0, SERIES_LOOKED_AT).flatMap((labels) => Object.values(labels)));
  const isOf = ({ service }: EventAnswer): boolean => {
    if (service === undefined) return true;
    const { name, namespace } = service;
    // a job may be written with its namespace, as OpenTelemetry does
    return values.has(name) || (namespace !== '' && values.has(`${namespace}/${name}`));
  };
  return events.filter(isOf).slice(-MARKS_MAX);
}
