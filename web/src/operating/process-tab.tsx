import { Badge, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { curlOf, fetchData } from '../api/http.ts';
import { printDuration } from '../model/duration.ts';
import { printMoment } from '../model/time-text.ts';
import { printValue } from '../model/units.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, useVisible } from '../scope.tsx';

interface Process {
  readonly version: string;
  readonly node: string;
  readonly target: readonly string[];
  readonly startTimeMs: number;
  readonly nowMs: number;
  readonly memoryBytes: number;
  readonly mainHeapBytes: number;
  readonly notReady: readonly string[];
  readonly services: readonly { readonly name: string; readonly state: string }[];
  readonly loops: readonly {
    readonly name: string;
    readonly intervalMs: number;
    readonly rounds: number;
    readonly failures: number;
    readonly lastStartMs?: number;
    readonly lastTookMs?: number;
    readonly error?: string;
    readonly late: boolean;
  }[];
}

/** The process: its build, services, and the health of all that it does again and again. */
export function ProcessTab() {
  const { zone, round } = useScope();
  const visible = useVisible();
  const call = { path: '/api/v1/status/process', tenant: '' };
  const { data, error } = useQuery({
    queryKey: ['process', round],
    refetchInterval: visible ? 10_000 : false,
    queryFn: ({ signal }) => fetchData<Process>(call, signal),
  });
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  const up = Math.floor((data.nowMs - data.startTimeMs) / 1000) * 1000;
  return (
    <>
      <Text size="sm" mb="xs">
        Pallium {data.version} on Node {data.node}, target {data.target.join(', ')}, up {printDuration(up)} since{' '}
        {printMoment(data.startTimeMs, zone)}; {printValue(data.memoryBytes, 'bytes')} of memory.{' '}
        <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      </Text>
      {data.notReady.map((reason) => (
        <Failure key={reason} error={reason} title="Not ready" />
      ))}
      <section className="panel" aria-label="loops">
        <strong>Done again and again</strong>
        <table className="dense">
          <thead>
            <tr>
              <th>Loop</th>
              <th>State</th>
              <th className="number">every</th>
              <th>Last round</th>
              <th className="number">took</th>
              <th className="number">Rounds</th>
              <th className="number">Failed</th>
              <th>Last error</th>
            </tr>
          </thead>
          <tbody>
            {data.loops.map(({ name, intervalMs, rounds, failures, lastStartMs, lastTookMs, error: failed, late }) => (
              <tr key={name}>
                <td>{name}</td>
                <td>
                  <Badge size="sm" variant="light" color={failed !== undefined || late ? 'red' : 'teal'}>
                    {failed !== undefined ? 'failing' : late ? 'late' : rounds === 0 ? 'waiting' : 'well'}
                  </Badge>
                </td>
                <td className="number">{printDuration(intervalMs)}</td>
                <td>{lastStartMs === undefined ? '–' : printMoment(lastStartMs, zone)}</td>
                <td className="number">{lastTookMs === undefined ? '–' : printValue(lastTookMs / 1000, 'seconds')}</td>
                <td className="number">{rounds}</td>
                <td className="number">{failures}</td>
                <td className="wrapped">{failed ?? '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <section className="panel" aria-label="services">
        <strong>Services</strong>
        <div className="states">
          {data.services.map(({ name, state }) => (
            <span key={name}>
              {name}{' '}
              <Badge size="xs" variant="light" color={state === 'running' ? 'teal' : 'red'}>
                {state}
              </Badge>
            </span>
          ))}
        </div>
      </section>
    </>
  );
}
