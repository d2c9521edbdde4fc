import { Alert, Badge, Button, Group, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { curlOf, fetchData, send } from '../api/http.ts';
import { printDuration } from '../model/duration.ts';
import { printMoment } from '../model/time-text.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Cut } from '../parts/cut.tsx';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { useSession } from '../session.tsx';

interface Preview {
  readonly series: number;
  readonly samples: number | null;
  readonly samples_unknown?: string;
  readonly metrics: number;
  readonly series_by_metric: readonly { readonly name: string; readonly series: number }[];
  readonly start_time: number;
  readonly end_time: number;
  readonly enabled: boolean;
  readonly flag: string;
  readonly cancel_period_seconds: number;
}
interface DeleteRequest {
  readonly request_id: string;
  readonly selector: string;
  readonly start_time: number;
  readonly end_time: number;
  readonly created_at: number;
  readonly cancel_until: number;
  readonly status: 'pending' | 'processed';
}
interface Features {
  readonly api: { readonly admin: boolean };
}

const PATH = '/api/v1/admin/tsdb/delete_series';

/** Deletions: what one would hit, and those that were asked for, which can be undone for a while. */
export function DeletesTab() {
  const { tenant } = useScope();
  const { rights } = useSession();
  const { data, error } = useQuery({
    queryKey: ['features', tenant],
    queryFn: ({ signal }) => fetchData<Features>({ path: '/api/v1/features', tenant }, signal),
  });
  if (error) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  const isOn = data.api.admin;
  return (
    <>
      {!isOn && (
        <Alert color="blue" variant="light" mb="sm" role="note">
          Deletions are switched off here: <code>-web.enable-admin-api</code> switches them on. What one would hit can
          be seen all the same.
        </Alert>
      )}
      {isOn && !rights.includes('edit') && (
        <Text size="sm" mb="sm">
          To delete, a user needs the right <code>edit</code>.
        </Text>
      )}
      <DeleteForm mayDelete={isOn && rights.includes('edit')} />
      {isOn && <Requests mayCancel={rights.includes('edit')} />}
    </>
  );
}

interface Asked {
  readonly selector: string;
  readonly startMs: number | undefined;
  readonly endMs: number | undefined;
}

function DeleteForm({ mayDelete }: { readonly mayDelete: boolean }) {
  const { tenant, rangeMs, endMs, zone } = useScope();
  const client = useQueryClient();
  const [selector, setSelector] = useState('');
  const [when, setWhen] = useState<'range' | 'ever'>('range');
  const [asked, setAsked] = useState<Asked>();
  const [failure, setFailure] = useState<unknown>();
  const params = paramsOf(asked);
  const call = { path: `${PATH}/preview`, params, tenant };
  const { data, error, isFetching } = useQuery({
    queryKey: ['delete-preview', tenant, params.toString()],
    enabled: asked !== undefined,
    gcTime: 0,
    queryFn: ({ signal }) => fetchData<Preview>(call, signal),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const end = endMs ?? Date.now();
    setFailure(undefined);
    setAsked({
      selector: selector.trim(),
      startMs: when === 'ever' ? undefined : end - rangeMs,
      endMs: when === 'ever' ? undefined : end,
    });
  };
  const remove = async () => {
    try {
      await send({ path: PATH, params, tenant, method: 'POST' });
      setAsked(undefined);
      setFailure(undefined);
    } catch (thrown) {
      setFailure(thrown);
    }
    await client.invalidateQueries({ queryKey: ['delete-requests'] });
  };
  return (
    <form className="panel" onSubmit={submit} aria-label="a deletion">
      <Stack gap="xs">
        <Group gap="sm" align="end">
          <TextInput
            size="xs"
            flex={1}
            miw={240}
            label="Delete samples of series that match"
            placeholder={'{job="old"}'}
            value={selector}
            onChange={(event) => {
              setSelector(event.currentTarget.value);
              setAsked(undefined);
            }}
          />
          <SegmentedControl
            size="xs"
            aria-label="time of the samples"
            value={when}
            onChange={(value) => {
              setWhen(value as typeof when);
              setAsked(undefined);
            }}
            data={[
              { value: 'range', label: 'in the time range above' },
              { value: 'ever', label: 'of all time' },
            ]}
          />
          <Button size="xs" type="submit" variant="default" disabled={selector.trim() === ''}>
            What would it hit?
          </Button>
        </Group>
        {error && asked !== undefined && <Failure error={error} />}
        {isFetching && <Quiet />}
        {data !== undefined && asked !== undefined && !isFetching && (
          <div role="status" aria-label="preview">
            <Text size="sm">
              <strong>{data.series.toLocaleString('en')}</strong> series of {data.metrics.toLocaleString('en')} metrics
              with{' '}
              {data.samples === null ? (
                <>an unknown number of samples ({data.samples_unknown})</>
              ) : (
                <>
                  <strong>{data.samples.toLocaleString('en')}</strong> samples
                </>
              )}
              {asked.startMs !== undefined &&
                `, ${printMoment(data.start_time * 1000, zone)} – ${printMoment(data.end_time * 1000, zone)}`}
            </Text>
            <ul className="listed">
              {data.series_by_metric.map(({ name, series }) => (
                <li key={name}>
                  <Cut text={name} /> <span className="dim">{series.toLocaleString('en')}</span>
                </li>
              ))}
              {data.metrics > data.series_by_metric.length && (
                <li className="dim">and {data.metrics - data.series_by_metric.length} more</li>
              )}
            </ul>
            <Group gap="xs">
              {mayDelete && data.series > 0 && (
                <Button size="xs" color="red" onClick={remove}>
                  Delete
                </Button>
              )}
              {mayDelete && (
                <span className="dim">
                  It can be undone for {printDuration(data.cancel_period_seconds * 1000)}; then the store gives the
                  samples up.
                </span>
              )}
              <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
            </Group>
          </div>
        )}
        {failure !== undefined && <Failure error={failure} />}
      </Stack>
    </form>
  );
}

function paramsOf(asked: Asked | undefined): URLSearchParams {
  const params = new URLSearchParams();
  if (asked === undefined) return params;
  params.set('match[]', asked.selector);
  if (asked.startMs !== undefined) params.set('start', String(asked.startMs / 1000));
  if (asked.endMs !== undefined) params.set('end', String(asked.endMs / 1000));
  return params;
}

const OLDEST_S = -62_135_596_800;

function Requests({ mayCancel }: { readonly mayCancel: boolean }) {
  const { tenant, zone, round } = useScope();
  const visible = useVisible();
  const client = useQueryClient();
  const [failure, setFailure] = useState<unknown>();
  const { data, error } = useQuery({
    queryKey: ['delete-requests', tenant, round],
    refetchInterval: visible ? 15_000 : false,
    queryFn: ({ signal }) => fetchData<DeleteRequest[]>({ path: PATH, tenant }, signal),
  });
  const cancel = async (id: string) => {
    try {
      const params = new URLSearchParams({ request_id: id });
      await send({ path: '/api/v1/admin/tsdb/cancel_delete_request', params, tenant, method: 'POST' });
      setFailure(undefined);
    } catch (thrown) {
      setFailure(thrown);
    }
    await client.invalidateQueries({ queryKey: ['delete-requests'] });
  };
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  return (
    <section className="panel" aria-label="deletions">
      <strong>Deletions</strong>
      {failure !== undefined && <Failure error={failure} />}
      {data.length === 0 && <p className="dim">None has been asked for.</p>}
      {data.length > 0 && (
        <table className="dense">
          <thead>
            <tr>
              <th>Series</th>
              <th>Samples</th>
              <th>Asked for</th>
              <th>State</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {data.toReversed().map((request) => (
              <tr key={request.request_id}>
                <td>
                  <code>
                    <Cut text={request.selector} />
                  </code>
                </td>
                <td>
                  {request.start_time <= OLDEST_S ? 'all' : `from ${printMoment(request.start_time * 1000, zone)}`}{' '}
                  until {printMoment(request.end_time * 1000, zone)}
                </td>
                <td>{printMoment(request.created_at * 1000, zone)}</td>
                <td>
                  <Badge size="sm" variant="light" color={request.status === 'pending' ? 'yellow' : 'gray'}>
                    {request.status === 'pending' ? 'hidden, can be undone' : 'gone'}
                  </Badge>
                </td>
                <td>
                  {mayCancel && request.status === 'pending' && (
                    <Button
                      size="compact-xs"
                      variant="default"
                      title={`until ${printMoment(request.cancel_until * 1000, zone)}`}
                      onClick={() => cancel(request.request_id)}
                    >
                      Undo
                    </Button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
