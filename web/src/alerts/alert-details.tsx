import { Link } from 'wouter';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { eventText } from '../chart/time-mark.ts';
import { type LabelSet, printSeries } from '../model/labels.ts';
import { matchersOf, printMatcher } from '../model/matchers.ts';
import { printMoment } from '../model/time-text.ts';
import { keptParams } from '../parts/kept-params.ts';
import { useScope } from '../scope.tsx';
import type { HeldAlert, Notification } from './alertmanager.ts';

/** The Alertmanager's knowledge of all alerts. */
export interface HeldAlerts {
  readonly byLabels: ReadonlyMap<string, HeldAlert>;
  readonly byFingerprint: ReadonlyMap<string, HeldAlert>;
  readonly notifications: readonly Notification[];
}

const NOTIFIED_MAX = 5;

/** The Alertmanager's word on an alert, what came before it, and the way to silence it. */
export function AlertDetails(props: {
  readonly alert: HeldAlert | undefined;
  readonly labels: LabelSet;
  readonly held: HeldAlerts | undefined;
  readonly deployment: EventAnswer | undefined;
}) {
  const { alert, labels, held, deployment } = props;
  const { zone } = useScope();
  const before =
    deployment === undefined ? null : (
      <div className="wrapped">
        after {eventText(deployment).slice(0, 300)}
        {deployment.service !== undefined && ` of ${deployment.service.name.slice(0, 200)}`},{' '}
        {printMoment(deployment.time, zone)}
      </div>
    );
  if (held === undefined) return <div className="dim">{before}</div>;
  const { silencedBy = [], inhibitedBy = [] } = alert?.status ?? {};
  const params = new URLSearchParams(keptParams());
  params.set('filter', matchersOf(labels).map(printMatcher).join(', '));
  const routing = new URLSearchParams(keptParams());
  routing.set('labels', params.get('filter')!);
  const told = held.notifications.filter(
    ({ firing }) => alert?.fingerprint !== undefined && firing.includes(alert.fingerprint),
  );
  return (
    <div className="dim">
      {before}
      {inhibitedBy.map((fingerprint) => {
        const source = held.byFingerprint.get(fingerprint);
        return (
          <div key={fingerprint} className="wrapped">
            inhibited by {source === undefined ? fingerprint : nameOf(source.labels)}
          </div>
        );
      })}
      {told.slice(0, NOTIFIED_MAX).map(({ receiver, integration, index, sentAt }) => (
        <div key={`${receiver} ${integration} ${index}`} className="wrapped">
          told {receiver.slice(0, 200)} ({integration}) {printMoment(Date.parse(sentAt), zone)}
        </div>
      ))}
      {silencedBy.map((id) => (
        <span key={id}>
          <Link href={`/silences/${encodeURIComponent(id)}${keptParams()}`}>silenced</Link>{' '}
        </span>
      ))}
      {alert?.receivers !== undefined && (
        <span className="wrapped">
          to <Link href={`/routing?${routing}`}>{alert.receivers.map(({ name }) => name).join(', ')}</Link>{' '}
        </span>
      )}
      {silencedBy.length === 0 && <Link href={`/silences/new?${params}`}>silence</Link>}
    </div>
  );
}

function nameOf(labels: LabelSet): string {
  const { alertname = '', ...rest } = labels;
  return printSeries({ __name__: alertname, ...rest }).slice(0, 500);
}
