import { Button, Modal } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import type { DashboardVersion, KeptDashboard } from '../../../src/contract/dashboard.ts';
import { fetchData } from '../api/http.ts';
import { printMoment } from '../model/time-text.ts';
import { Difference } from '../parts/difference.tsx';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { useScope } from '../scope.tsx';
import { dashboardPath, fetchDashboard } from './api.ts';

export interface VersionsProps {
  readonly id: string;
  readonly current: KeptDashboard;
  readonly onClose: () => void;
}

/** Who changed a dashboard when, and how each version differs from the one that is shown. */
export function Versions({ id, current, onClose }: VersionsProps) {
  const { tenant, zone } = useScope();
  const [compared, setCompared] = useState<number>();
  const { data, error } = useQuery({
    queryKey: ['dashboard-versions', tenant, id],
    staleTime: 0,
    queryFn: ({ signal }) =>
      fetchData<readonly DashboardVersion[]>({ path: `${dashboardPath(id)}/versions`, tenant }, signal),
  });
  const { data: other } = useQuery({
    queryKey: ['dashboard', tenant, id, compared],
    enabled: compared !== undefined,
    queryFn: ({ signal }) => fetchDashboard(tenant, id, compared, signal),
  });
  const text = (kept: KeptDashboard) => JSON.stringify(kept.dashboard, undefined, 2);
  const sign = keptParams() === '' ? '?' : '&';
  return (
    <Modal opened onClose={onClose} title="Versions" size="xl" closeButtonProps={{ 'aria-label': 'close' }}>
      {error && <Failure error={error} />}
      {data === undefined && !error && <Quiet />}
      <table className="dense">
        <tbody>
          {data?.toReversed().map(({ number, timeMs, user, deleted, bytes }) => (
            <tr key={number}>
              <td>{number}</td>
              <td>{printMoment(timeMs, zone)}</td>
              <td className="wrapped">{user}</td>
              <td>{deleted ? 'deleted' : `${bytes} bytes`}</td>
              <td>
                {!deleted && number !== current.version.number && (
                  <>
                    <Button size="compact-xs" variant="default" onClick={() => setCompared(number)}>
                      Compare
                    </Button>{' '}
                    <Link
                      href={`/dashboards/${encodeURIComponent(id)}${keptParams()}${sign}version=${number}`}
                      onClick={onClose}
                    >
                      open
                    </Link>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {other !== undefined && compared !== undefined && (
        <>
          <p className="dim">
            From version {compared} to version {current.version.number}:
          </p>
          <Difference before={text(other)} after={text(current)} />
        </>
      )}
    </Modal>
  );
}
