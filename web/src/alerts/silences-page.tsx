import { Badge, Button, Group, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useMemo, useState } from 'react';
import { useLocation, useParams } from 'wouter';
import { useSearch } from 'wouter/use-browser-location';
import { curlOf } from '../api/http.ts';
import { parseDuration, printDuration } from '../model/duration.ts';
import { type AlertMatcher, parseMatchers, printMatcher } from '../model/matchers.ts';
import { printMoment } from '../model/time-text.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { SeriesName } from '../parts/series-name.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { expireSilence, fetchAlerts, fetchSilences, SILENCES_PATH, type Silence, setSilence } from './alertmanager.ts';

const COLORS = { active: 'teal', pending: 'yellow', expired: 'gray' } as const;
const HOUR_MS = 3_600_000;

/** Silences of the tenant: looked at, made, extended and ended. */
export function SilencesPage() {
  const { tenant, round } = useScope();
  const { rights, apis } = useSession();
  const visible = useVisible();
  const { id } = useParams<{ id?: string }>();
  const [shown, setShown] = useState<'current' | 'expired'>('current');
  const isHere = apis.includes(SILENCES_PATH);
  const { data, error } = useQuery({
    queryKey: ['silences', tenant, round],
    enabled: isHere,
    queryFn: ({ signal }) => fetchSilences(tenant, signal),
    refetchInterval: visible ? 15_000 : false,
  });
  if (!isHere) return <Text size="sm">This process runs no Alertmanager.</Text>;
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  const mayEdit = rights.includes('edit');
  const list = data.filter(({ status, id: own }) =>
    id !== undefined && id !== 'new' ? own === id : (status.state === 'expired') === (shown === 'expired'),
  );
  return (
    <>
      {mayEdit && (id === undefined || id === 'new') && <SilenceForm />}
      <Group mb="xs">
        <SegmentedControl
          size="xs"
          value={shown}
          onChange={(value) => setShown(value as typeof shown)}
          data={[
            { value: 'current', label: 'Active and pending' },
            { value: 'expired', label: 'Expired' },
          ]}
        />
        <Text size="sm" c="dimmed">
          {list.length} of {data.length}
        </Text>
      </Group>
      {list.length === 0 && <Text size="sm">None.</Text>}
      {list.map((silence) => (
        <SilenceRow key={silence.id} silence={silence} mayEdit={mayEdit} />
      ))}
      <CopyButton text={curlOf({ path: SILENCES_PATH, tenant })} label="API call" variant="subtle" />
    </>
  );
}

function SilenceRow({ silence, mayEdit }: { readonly silence: Silence; readonly mayEdit: boolean }) {
  const { tenant, zone } = useScope();
  const client = useQueryClient();
  const [error, setError] = useState<unknown>();
  const { id, status, matchers, startsAt, endsAt, createdBy, comment } = silence;
  const act = async (work: () => Promise<unknown>) => {
    try {
      await work();
      setError(undefined);
    } catch (thrown) {
      setError(thrown);
    }
    await client.invalidateQueries({ queryKey: ['silences'] });
  };
  const extended = () =>
    setSilence(tenant, {
      id,
      matchers,
      startsAt,
      createdBy,
      comment,
      endsAt: new Date(Math.max(Date.now(), Date.parse(endsAt)) + HOUR_MS).toISOString(),
    });
  return (
    <section className="panel" aria-label={`silence ${id}`}>
      <Group gap="xs" justify="space-between">
        <Group gap="xs">
          <Badge size="sm" variant="light" color={COLORS[status.state]}>
            {status.state}
          </Badge>
          <code className="wrapped">
            {matchers.map((one) => printMatcher({ ...one, isEqual: one.isEqual ?? true })).join(', ')}
          </code>
        </Group>
        {mayEdit && status.state !== 'expired' && (
          <Group gap={4}>
            <Button size="compact-xs" variant="default" onClick={() => act(extended)}>
              1 h more
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => act(() => expireSilence(tenant, id))}>
              End
            </Button>
          </Group>
        )}
      </Group>
      <div className="dim wrapped">
        {printMoment(Date.parse(startsAt), zone)} – {printMoment(Date.parse(endsAt), zone)} · {createdBy}: {comment}
      </div>
      {error !== undefined && <Failure error={error} />}
    </section>
  );
}

/** A new silence, with the alerts that it would hit. */
function SilenceForm() {
  const { tenant } = useScope();
  const { user } = useSession();
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const given = new URLSearchParams(useSearch()).get('filter') ?? '';
  const [text, setText] = useState(given);
  const [duration, setDuration] = useState('2h');
  const [by, setBy] = useState(user);
  const [comment, setComment] = useState('');
  const [error, setError] = useState<unknown>();
  const matchers = useMemo(() => parseMatchers(text), [text]);
  const ms = parseDuration(duration);
  const isRight = matchers !== undefined && matchers.length > 0 && ms !== undefined;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (!isRight) return;
    try {
      const now = Date.now();
      await setSilence(tenant, {
        matchers,
        startsAt: new Date(now).toISOString(),
        endsAt: new Date(now + ms).toISOString(),
        createdBy: by,
        comment,
      });
      setError(undefined);
      setText('');
      setComment('');
      await client.invalidateQueries({ queryKey: ['silences'] });
      navigate(`/silences${keptParams()}`);
    } catch (thrown) {
      setError(thrown);
    }
  };
  return (
    <form className="panel" onSubmit={submit} aria-label="new silence">
      <Stack gap="xs">
        <TextInput
          size="xs"
          label="Silence alerts with"
          placeholder={'alertname="Down", instance=~"host-1.*"'}
          value={text}
          error={matchers === undefined ? 'like alertname="Down", job=~"a|b"' : null}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <Group gap="xs" align="end">
          <TextInput
            size="xs"
            w={90}
            label="for"
            value={duration}
            error={ms === undefined}
            onChange={(event) => setDuration(event.currentTarget.value)}
          />
          <TextInput
            size="xs"
            w={160}
            label="by"
            required
            value={by}
            onChange={(event) => setBy(event.currentTarget.value)}
          />
          <TextInput
            size="xs"
            flex={1}
            miw={160}
            label="because"
            required
            value={comment}
            onChange={(event) => setComment(event.currentTarget.value)}
          />
          <Button size="xs" type="submit" disabled={!isRight}>
            Silence{ms === undefined ? '' : ` for ${printDuration(ms)}`}
          </Button>
        </Group>
        {matchers !== undefined && matchers.length > 0 && <Preview matchers={matchers} />}
        {error !== undefined && <Failure error={error} />}
      </Stack>
    </form>
  );
}

function Preview({ matchers }: { readonly matchers: readonly AlertMatcher[] }) {
  const { tenant } = useScope();
  const [asked] = useDebouncedValue(matchers, 300);
  const { data, error } = useQuery({
    queryKey: ['silence-preview', tenant, asked],
    queryFn: ({ signal }) => fetchAlerts(tenant, asked, signal),
  });
  if (error) return <Failure error={error} />;
  if (data === undefined) return null;
  return (
    <div className="dim">
      It hits {data.length} {data.length === 1 ? 'alert' : 'alerts'} now.
      {data.slice(0, 10).map(({ labels }) => (
        <div key={JSON.stringify(labels)}>
          <SeriesName labels={labels} />
        </div>
      ))}
      {data.length > 10 && <div>and {data.length - 10} more</div>}
    </div>
  );
}
