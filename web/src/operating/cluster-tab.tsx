import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { curlOf, send } from '../api/http.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Cut } from '../parts/cut.tsx';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { type RingTable, tablesOf } from './ring-tables.ts';

const RING = '/ring';

/** Members, rings and windows that are owed, as the process tells of them. */
export function ClusterTab() {
  const { round } = useScope();
  const { apis } = useSession();
  const visible = useVisible();
  const isHere = apis.includes(RING);
  const call = { path: RING, tenant: '' };
  const { data, error } = useQuery({
    queryKey: ['ring', round],
    enabled: isHere,
    refetchInterval: visible ? 10_000 : false,
    queryFn: async ({ signal }) => tablesOf(await (await send({ ...call, accept: 'application/json' }, signal)).json()),
  });
  if (!isHere)
    return (
      <Text size="sm">
        This process is no member of a ring: it holds all series itself, and no windows are owed to others.
      </Text>
    );
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  return (
    <>
      {data.map((table) => (
        <RingPart key={table.title} table={table} />
      ))}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
    </>
  );
}

function RingPart({ table: { title, columns, rows } }: { readonly table: RingTable }) {
  return (
    <section className="panel" aria-label={title}>
      <strong className="wrapped">{title}</strong>
      {rows.length === 0 && <p className="dim">None.</p>}
      {rows.length > 0 && (
        <div style={{ overflowX: 'auto' }}>
          <table className="dense">
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column}>{column}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.join('\n')}>
                  {row.map((cell, i) => (
                    <td key={columns[i]}>
                      <Cut text={cell} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
