import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { curlOf, fetchData } from '../api/http.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Cut } from '../parts/cut.tsx';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useScope } from '../scope.tsx';
import { relabelRules } from './relabel-rules.ts';

interface Savings {
  readonly date: string;
  readonly series: number;
  readonly left: number;
  readonly saved: number;
  readonly saved_by: {
    readonly drop: number;
    readonly drop_label: number;
    readonly max_series_per_metric: number;
    readonly max_series: number;
  };
  readonly metrics: readonly { readonly name: string; readonly series: number; readonly left: number }[];
}

interface Rules {
  readonly drop: string;
  readonly labels: string;
  readonly perMetric: string;
  readonly all: string;
}
const NO_RULES: Rules = { drop: '', labels: '', perMetric: '', all: '' };
const BY: readonly (readonly [name: keyof Savings['saved_by'], title: string])[] = [
  ['drop', 'dropped series'],
  ['drop_label', 'dropped labels, by series that become one'],
  ['max_series_per_metric', 'the limit of a metric'],
  ['max_series', 'the limit of the tenant'],
];

/** Savings of today's series by drop rules and limits that are only tried; nothing is changed. */
export function SavingsTab() {
  const { tenant, round } = useScope();
  const [rules, setRules] = useState(NO_RULES);
  const [asked, setAsked] = useState<Rules>();
  const params = asked === undefined ? undefined : paramsOf(asked);
  const call = { path: '/api/v1/cardinality/savings', params: params ?? new URLSearchParams(), tenant };
  const { data, error, isFetching } = useQuery({
    queryKey: ['savings', tenant, params?.toString(), round],
    enabled: params !== undefined,
    queryFn: ({ signal }) => fetchData<Savings>(call, signal),
  });
  const field = (name: keyof Rules, label: string, placeholder: string) => (
    <TextInput
      size="xs"
      flex={1}
      miw={200}
      label={label}
      placeholder={placeholder}
      value={rules[name]}
      onChange={(event) => setRules({ ...rules, [name]: event.currentTarget.value })}
    />
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setAsked(rules);
  };
  const text = asked === undefined ? '' : relabelRules(asked.drop, asked.labels);
  return (
    <>
      <form className="panel" onSubmit={submit} aria-label="rules to try">
        <Stack gap="xs">
          <Group gap="sm" align="end">
            {field('drop', 'Drop series that match', '{pod=~"test-.*"}')}
            {field('labels', 'Drop labels', 'pod, instance')}
          </Group>
          <Group gap="sm" align="end">
            {field('perMetric', 'At most series of a metric', '10000')}
            {field('all', 'At most series of the tenant', '1000000')}
            <Button size="xs" type="submit">
              What would it save?
            </Button>
            {asked !== undefined && <CopyButton text={curlOf(call)} label="API call" variant="subtle" />}
          </Group>
        </Stack>
      </form>
      {error && <Failure error={error} />}
      {isFetching && data === undefined && <Quiet />}
      {data !== undefined && (
        <section className="panel" aria-label="savings">
          <Text size="sm">
            Of {data.series.toLocaleString('en')} series on {data.date},{' '}
            <strong>{data.left.toLocaleString('en')}</strong> would be left: {data.saved.toLocaleString('en')} fewer
            {data.series > 0 && ` (${((100 * data.saved) / data.series).toFixed(1)} %)`}.
          </Text>
          <ul className="listed">
            {BY.filter(([name]) => data.saved_by[name] > 0).map(([name, title]) => (
              <li key={name}>
                {data.saved_by[name].toLocaleString('en')} by {title}
              </li>
            ))}
          </ul>
          {data.metrics.length > 0 && (
            <table className="dense">
              <thead>
                <tr>
                  <th>Metric</th>
                  <th className="number">Series</th>
                  <th className="number">Left</th>
                </tr>
              </thead>
              <tbody>
                {data.metrics.map(({ name, series, left }) => (
                  <tr key={name}>
                    <td>
                      <Cut text={name} />
                    </td>
                    <td className="number">{series.toLocaleString('en')}</td>
                    <td className="number">{left.toLocaleString('en')}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
          {text !== '' && (
            <>
              <Text size="sm" mt="sm">
                In a Prometheus that sends, below <code>write_relabel_configs</code>, or in this tenant's limits below{' '}
                <code>metric_relabel_configs</code>:
              </Text>
              <pre className="block">{text}</pre>
              <CopyButton text={text} label="Copy" />
            </>
          )}
        </section>
      )}
    </>
  );
}

function paramsOf({ drop, labels, perMetric, all }: Rules): URLSearchParams {
  const params = new URLSearchParams();
  if (drop.trim() !== '') params.append('drop[]', drop.trim());
  for (const name of labels.split(/[\s,]+/)) if (name !== '') params.append('drop_label[]', name);
  if (perMetric.trim() !== '') params.set('max_series_per_metric', perMetric.trim());
  if (all.trim() !== '') params.set('max_series', all.trim());
  return params;
}
