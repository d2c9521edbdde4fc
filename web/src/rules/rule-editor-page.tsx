import { Alert, Anchor, Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link, useLocation } from 'wouter';
import { useSearch } from 'wouter/use-browser-location';
import { ApiProblem } from '../api/problem.ts';
import { printDuration } from '../model/duration.ts';
import { printSeries } from '../model/labels.ts';
import { DeleteDialog } from '../parts/delete-dialog.tsx';
import { EditConflict } from '../parts/edit-conflict.tsx';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { type TextVersion, TextVersions } from '../parts/text-versions.tsx';
import { useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';
import {
  fetchGroup,
  fetchVersions,
  PREVIEW_PATH,
  type PreviewedRule,
  previewGroup,
  putGroup,
  removeGroup,
  TEST_PATH,
  type TestVerdict,
  testGroup,
  tryGroup,
} from './api.ts';
import { groupNameIn, spansOf } from './preview-spans.ts';
import { Timeline } from './timeline.tsx';
import { YamlEditor } from './yaml-editor.tsx';
import '../alerts/alerts.css';

const WEEK_MS = 7 * 86_400_000;
const HOUR_MS = 3_600_000;
const TYPED_MS = 400;

const NEW_GROUP = `name: new-group
interval: 1m
rules:
  - alert: InstanceDown
    expr: up == 0
    for: 5m
    labels: { severity: page }
    annotations: { summary: "{{ $labels.instance }} is down" }
`;
const NEW_TESTS = `evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: up{instance="a"}
        values: 1 1 0x10
    alert_rule_test:
      - eval_time: 8m
        alertname: InstanceDown
        exp_alerts:
          - exp_labels: { severity: page, instance: a }
            exp_annotations: { summary: a is down }
`;

/** A group of rules, written and tried before it is in force. */
export function RuleEditorPage() {
  const { tenant } = useScope();
  const params = new URLSearchParams(useSearch());
  const namespace = params.get('namespace') ?? '';
  const group = params.get('group') ?? '';
  const isNew = group === '';
  const { data, error } = useQuery({
    queryKey: ['rule-group', tenant, namespace, group],
    enabled: !isNew,
    staleTime: 0,
    queryFn: async ({ signal }) => {
      // before the text: a change in between is seen as one when it is saved
      const versions = await fetchVersions(tenant, namespace, group, signal);
      return { versions, text: await fetchGroup(tenant, namespace, group, undefined, signal) };
    },
  });
  if (error instanceof ApiProblem && error.status === 404) {
    return (
      <Text size="sm" className="wrapped">
        There is no group {group.slice(0, 200)} in {namespace.slice(0, 200)} that could be changed here: rules from
        files of the server are changed there.
      </Text>
    );
  }
  if (error && data === undefined) return <Failure error={error} />;
  if (!isNew && data === undefined) return <Quiet />;
  const expr = params.get('expr');
  const text = expr === null ? NEW_GROUP : NEW_GROUP.replace('up == 0', JSON.stringify(expr.slice(0, 10_000)));
  return (
    <RuleEditor
      key={`${tenant} ${namespace} ${group}`}
      given={{ namespace, group, text: data?.text ?? text, versions: data?.versions ?? [] }}
    />
  );
}

interface GivenGroup {
  readonly namespace: string;
  /** Empty: a new one. */
  readonly group: string;
  readonly text: string;
  /** The newest first. */
  readonly versions: readonly TextVersion[];
}

function RuleEditor({ given }: { readonly given: GivenGroup }) {
  const { tenant } = useScope();
  const { rights, apis } = useSession();
  const client = useQueryClient();
  const [, navigate] = useLocation();
  // what is edited began with this version, whatever came since
  const [from] = useState(given);
  const [namespace, setNamespace] = useState(from.namespace || 'default');
  const [text, setText] = useState(from.text);
  const [error, setError] = useState<unknown>();
  const [open, setOpen] = useState<'versions' | 'remove'>();
  const mayEdit = rights.includes('edit');
  const [typed] = useDebouncedValue(text, TYPED_MS);
  const verdict = useQuery({
    queryKey: ['rule-verdict', tenant, namespace, typed],
    enabled: mayEdit && typed.trim() !== '' && namespace !== '',
    queryFn: ({ signal }) => tryGroup(tenant, namespace, typed, signal),
  });
  const isOwn = from.group !== '' && namespace === from.namespace && groupNameIn(text) === from.group;
  const act = async (work: () => Promise<void>) => {
    try {
      await work();
      setError(undefined);
    } catch (thrown) {
      setError(thrown);
    }
  };
  const leave = async () => {
    await client.invalidateQueries({ queryKey: ['rules'] });
    await client.invalidateQueries({ queryKey: ['rule-group'] });
    navigate(`/alerts${keptParams()}`);
  };
  const replaced = isOwn ? (from.versions[0]?.version ?? 0) : 0;
  const save = (expected: number | undefined) =>
    act(async () => {
      await putGroup(tenant, namespace, text, expected);
      await leave();
    });
  const isConflict = error instanceof ApiProblem && error.status === 409;
  return (
    <>
      <Group gap="sm" mb="xs" align="end">
        <Anchor component={Link} href={`/alerts${keptParams()}`} size="sm">
          all rules
        </Anchor>
        <TextInput
          size="xs"
          label="Namespace"
          value={namespace}
          onChange={(event) => setNamespace(event.currentTarget.value)}
        />
        {mayEdit && (
          <Button
            size="xs"
            disabled={verdict.isError || verdict.isFetching || typed !== text}
            onClick={() => void save(replaced)}
          >
            Save
          </Button>
        )}
        {from.group !== '' && (
          <Button size="xs" variant="default" onClick={() => setOpen('versions')}>
            Versions
          </Button>
        )}
        {from.group !== '' && mayEdit && (
          <Button size="xs" variant="default" onClick={() => setOpen('remove')}>
            Delete
          </Button>
        )}
      </Group>
      <div className="two-columns">
        <Stack gap="xs" className="column">
          <YamlEditor label="rules" text={text} onText={setText} completes />
          {verdict.error && !verdict.isFetching && <Failure error={verdict.error} title="The rules are not right" />}
          {verdict.data !== undefined && (
            <Text size="sm" role="status" c="teal">
              The rules are right.{' '}
              {verdict.data.reset.length > 0 && `${verdict.data.reset.length} active alerts would begin anew.`}
            </Text>
          )}
          {isConflict && <EditConflict what="this group" error={error} onOverwrite={() => void save(undefined)} />}
          {error !== undefined && !isConflict && <Failure error={error} />}
        </Stack>
        <Stack gap="xs" className="column">
          {apis.includes(PREVIEW_PATH) && (
            <WeekPreview namespace={namespace} group={typed} isRight={!mayEdit || verdict.data !== undefined} />
          )}
          {apis.includes(TEST_PATH) && <UnitTests group={text} />}
        </Stack>
      </div>
      {open === 'versions' && (
        <TextVersions
          textKey={[tenant, 'rules', from.namespace, from.group]}
          versions={from.versions}
          fetchText={(version, signal) => fetchGroup(tenant, from.namespace, from.group, version, signal)}
          text={text}
          onText={setText}
          onClose={() => setOpen(undefined)}
        />
      )}
      <DeleteDialog
        opened={open === 'remove'}
        title="Delete this group of rules?"
        onClose={() => setOpen(undefined)}
        onDelete={() =>
          void act(async () => {
            await removeGroup(tenant, from.namespace, from.group);
            await leave();
          })
        }
      />
    </>
  );
}

/** When the rules would have fired over the last week; asked for anew when they are right. */
function WeekPreview(props: { readonly namespace: string; readonly group: string; readonly isRight: boolean }) {
  const { namespace, group, isRight } = props;
  const { tenant, zone, endMs: chosen } = useScope();
  const [endMs, setEndMs] = useState(chosen ?? Math.floor(Date.now() / 60_000) * 60_000);
  useEffect(() => setEndMs(chosen ?? Math.floor(Date.now() / 60_000) * 60_000), [chosen]);
  const { data, error, isFetching } = useQuery({
    queryKey: ['rule-preview', tenant, namespace, group, endMs],
    enabled: isRight && group.trim() !== '',
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => previewGroup(tenant, { namespace, group, startMs: endMs - WEEK_MS, endMs }, signal),
  });
  const weekMs = endMs - WEEK_MS;
  const firstMs = (data?.first ?? 0) * 1000;
  // a group with many rules, or a short interval: only the end of the week
  const isWhole = data === undefined || firstMs < weekMs + 2 * data.interval * 1000;
  const startMs = isWhole ? weekMs : endMs - Math.max(1, Math.floor((endMs - firstMs) / HOUR_MS)) * HOUR_MS;
  return (
    <section
      className={isRight ? 'panel' : 'panel stale'}
      aria-label="last week"
      data-state={isFetching ? 'busy' : 'idle'}
    >
      <strong>{isWhole ? 'Over the last week' : `Over the last ${printDuration(endMs - startMs)}`}</strong>{' '}
      {!isWhole && <span className="dim">(a week of this group has more evaluations than are made at once) </span>}
      {data !== undefined && (
        <span className="dim">
          {data.evaluations} evaluations, one every {data.interval} s
        </span>
      )}
      {error && <Failure error={error} />}
      {isFetching && data === undefined && <Quiet />}
      {data?.rules.map((rule, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a rule is its place
        <div key={i}>
          <div className="wrapped">
            <strong>{rule.name.slice(0, 200)}</strong> <span className="dim">{summaryOf(rule)}</span>
          </div>
          {rule.lastError !== undefined && <div className="dim wrapped">{rule.lastError.slice(0, 500)}</div>}
          {rule.alerts !== undefined && rule.alerts.length > 0 && (
            <Timeline
              rows={rule.alerts.map(({ labels, changes }) => ({
                name: printSeries(labels),
                spans: spansOf(changes, endMs),
              }))}
              startMs={startMs}
              endMs={endMs}
              zone={zone}
            />
          )}
        </div>
      ))}
    </section>
  );
}

function summaryOf({ type, failures, alerts = [], series = 0, samples = 0 }: PreviewedRule): string {
  const failed = failures === 0 ? '' : `, ${failures} evaluations failed`;
  if (type === 'recording') return `would have written ${counted(samples, 'sample')} of ${series} series${failed}`;
  const fired = alerts.reduce((sum, { changes }) => sum + changes.filter(({ state }) => state === 'firing').length, 0);
  return `would have fired ${counted(fired, 'time')}, for ${counted(alerts.length, 'label set')}${failed}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Tests in promtool's format, run over what stands in the editor. */
function UnitTests({ group }: { readonly group: string }) {
  const { tenant } = useScope();
  const [tests, setTests] = useState(NEW_TESTS);
  const [verdict, setVerdict] = useState<TestVerdict>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    try {
      setVerdict(await testGroup(tenant, group, tests));
      setError(undefined);
    } catch (thrown) {
      setVerdict(undefined);
      setError(thrown);
    }
    setBusy(false);
  };
  return (
    <details className="section">
      <summary>Unit tests</summary>
      <Stack gap="xs">
        <YamlEditor label="tests" text={tests} onText={setTests} />
        <Group>
          <Button size="xs" variant="default" loading={busy} onClick={() => void run()}>
            Run the tests
          </Button>
        </Group>
        {error !== undefined && <Failure error={error} />}
        {verdict?.tests.map(({ name, failures }, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a test is its place
          <Alert key={i} color={failures.length === 0 ? 'teal' : 'red'} p="xs" role="status">
            <div className="wrapped">
              {name.slice(0, 200) || `test ${i + 1}`}: {failures.length === 0 ? 'as expected' : 'failed'}
            </div>
            {failures.map((failure) => (
              <pre key={failure} className="block">
                {failure.slice(0, 5_000)}
              </pre>
            ))}
          </Alert>
        ))}
      </Stack>
    </details>
  );
}
