import type { EventAnswer } from '../../../src/contract/services.ts';
import type { LabelSet } from '../model/labels.ts';

const DAY_MS = 86_400_000;
/** An alert may begin a little before its deployment is seen. */
const BEFORE_MS = 300_000;
/** Labels that may name a service. */
const NAMES = [
  'service_name',
  'service',
  'job',
  'app_kubernetes_io_name',
  'app',
  'workload',
  'deployment',
  'container',
  'destination_workload',
];

/** The deployment nearest before an alert's begin, of a service that its labels name; within a day. */
export function nearestDeployment(
  events: readonly EventAnswer[],
  labels: LabelSet,
  activeAtMs: number,
): EventAnswer | undefined {
  const names = new Set(
    NAMES.flatMap((name) => {
      const value = labels[name];
      return value === undefined || value === '' ? [] : [value, value.slice(value.lastIndexOf('/') + 1)];
    }),
  );
  let nearest: EventAnswer | undefined;
  for (const event of events) {
    const { type, service, time } = event;
    if (service === undefined || type === 'restart' || type === 'annotation' || !names.has(service.name)) continue;
    if (labels.namespace !== undefined && service.namespace !== '' && service.namespace !== labels.namespace) continue;
    if (time > activeAtMs + BEFORE_MS || time < activeAtMs - DAY_MS) continue;
    if (nearest === undefined || time > nearest.time) nearest = event;
  }
  return nearest;
}
