import { Anchor, Table, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { fetchData } from '../api/http.ts';
import { eventText, markOf } from '../chart/time-mark.ts';
import { printMoment } from '../model/time-text.ts';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope } from '../scope.tsx';

const SHOWN_MAX = 50;
const FINDINGS_MAX = 12;

interface Finding {
  readonly measure: string;
  readonly part: readonly string[];
  readonly statistic: string;
  readonly change: number;
  readonly score: number;
  readonly verdict: string;
}

/** New against old instances over the same time. */
interface SideBySide {
  readonly spanMs: number;
  readonly newer: number;
  readonly older: number;
  readonly findings: readonly Finding[];
  readonly tooFew: number;
}

interface BeforeAfter {
  /** While there is nothing to compare; null: too few instances of both versions. */
  readonly sideBySide?: SideBySide | null;
  /** When there will be enough; absent: there is, or never will be. */
  readonly readyMs?: number;
  readonly spanMs?: number;
  readonly reference?: 'days' | 'last-day';
  readonly references?: number;
  readonly findings?: readonly Finding[];
  readonly tooFew?: number;
}

/** Deployments of a service in the range, each with what it changed. */
export function Deployments({
  events,
  serviceKey,
}: {
  readonly events: readonly EventAnswer[];
  readonly serviceKey: string;
}) {
  const { zone } = useScope();
  const [open, setOpen] = useState<string>();
  if (events.length === 0) return null;
  return (
    <details className="section" open>
      <summary>
        Deployments and events <span className="dim">{events.length}</span>
      </summary>
      <Table verticalSpacing={2} fz="sm" className="top">
        <Table.Tbody>
          {events
            .slice(-SHOWN_MAX)
            .reverse()
            .map((event) => (
              <Table.Tr key={event.id}>
                <Table.Td w={170}>{printMoment(event.time, zone)}</Table.Td>
                <Table.Td>
                  <span className="swatch" style={{ background: markOf(event).color }} />{' '}
                  <span className="wrapped">{eventText(event)}</span>{' '}
                  <span className="dim">{event.user ?? event.evidence}</span>
                  {open === event.id && <Changes serviceKey={serviceKey} id={event.id} />}
                </Table.Td>
                <Table.Td w={150}>
                  {event.type !== 'annotation' && event.type !== 'restart' && (
                    <Anchor
                      component="button"
                      size="sm"
                      aria-expanded={open === event.id}
                      onClick={() => setOpen(open === event.id ? undefined : event.id)}
                    >
                      before and after
                    </Anchor>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
        </Table.Tbody>
      </Table>
    </details>
  );
}

function Changes({ serviceKey, id }: { readonly serviceKey: string; readonly id: string }) {
  const { tenant, zone } = useScope();
  const params = new URLSearchParams({ event: id });
  const call = { path: `/api/v1/services/${encodeURIComponent(serviceKey)}/before_after`, params, tenant };
  const { data, error } = useQuery({
    queryKey: ['before-after', tenant, serviceKey, id],
    queryFn: ({ signal }) => fetchData<BeforeAfter>(call, signal),
  });
  if (error) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  if (data.findings === undefined) {
    const { readyMs, sideBySide } = data;
    const when =
      readyMs === undefined ? 'another deployment was too near, or it goes on' : `at ${printMoment(readyMs, zone)}`;
    return (
      <>
        <p className="dim">Nothing to compare yet: {when}.</p>
        {sideBySide && (
          <>
            <p className="dim">
              While both run: {sideBySide.newer} new against {sideBySide.older} old instances over{' '}
              {sideBySide.spanMs / 60_000} minutes
              {sideBySide.tooFew > 0 && `; ${sideBySide.tooFew} had too few events`}
            </p>
            <Findings findings={sideBySide.findings} />
          </>
        )}
      </>
    );
  }
  const { findings, spanMs = 0, reference, references = 0, tooFew = 0 } = data;
  const against =
    reference === 'days' ? `the same change on ${references} earlier days` : `${references} spans of the last day`;
  return (
    <>
      <p className="dim">
        {spanMs / 60_000} minutes before and after, against {against}
        {tooFew > 0 && `; ${tooFew} had too few events`}
      </p>
      <Findings findings={findings} />
    </>
  );
}

function Findings({ findings }: { readonly findings: readonly Finding[] }) {
  if (findings.length === 0) return <Text size="sm">Nothing stands out.</Text>;
  return findings.slice(0, FINDINGS_MAX).map((finding) => (
    <div key={`${finding.measure} ${finding.part.join('=')}`} className="row">
      <span className="row-labels wrapped">
        {finding.verdict}: {finding.measure} {finding.part.join('=').slice(0, 200)}
      </span>
      <span className="row-value">
        {printChange(finding)} <span className="dim">score {finding.score.toFixed(1)}</span>
      </span>
    </div>
  ));
}

/** Ratios as percent more or less, shares as points. */
function printChange({ statistic, change }: Finding): string {
  const isShare = statistic === 'ratio' || statistic === 'value';
  const percent = (isShare ? change : Math.exp(change) - 1) * 100;
  return `${percent > 0 ? '+' : ''}${percent.toFixed(Math.abs(percent) < 10 ? 1 : 0)} ${isShare ? 'points' : '%'}`;
}
