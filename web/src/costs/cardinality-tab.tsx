import { Button, Group, Text, TextInput, UnstyledButton } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { Link } from 'wouter';
import { curlOf, fetchData } from '../api/http.ts';
import { quoteText } from '../model/selector.ts';
import { printValue } from '../model/units.ts';
import { EMPTY_PANEL, printPanels } from '../model/url-state.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Cut } from '../parts/cut.tsx';
import { Failure } from '../parts/failure.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useParam } from '../parts/use-param.ts';
import { useScope } from '../scope.tsx';

interface Counted {
  readonly name: string;
  readonly series: number;
  readonly before?: number;
}
interface Cardinality {
  readonly date: string;
  readonly series: number;
  readonly label_pairs: number;
  readonly count_error_max: number;
  readonly compared?: { readonly date: string; readonly series: number; readonly label_pairs: number };
  readonly series_by_metric: readonly Counted[];
  readonly changed_metrics?: readonly Counted[];
  readonly values_by_label: readonly { readonly name: string; readonly values: number; readonly before?: number }[];
  readonly series_by_pair: readonly (Omit<Counted, 'name'> & { readonly label: string; readonly value: string })[];
  /** Absent: labels other than the name decide which series are counted. */
  readonly samples?: number;
  readonly bytes?: number;
  readonly recent_samples?: number;
  readonly recent_unknown?: string;
  readonly weight_by_metric?: readonly (Counted & { readonly samples: number; readonly bytes: number })[];
  readonly focus?: {
    readonly label: string;
    readonly values: number;
    readonly series_by_value: readonly (Omit<Counted, 'name'> & { readonly value: string })[];
  };
}

const DAY_MS = 86_400_000;
const dateOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

/** Series of a day by metric, label and pair, beside those of another day. */
export function CardinalityTab() {
  const { tenant, round } = useScope();
  const [date, setDate] = useParam('date');
  const [compare, setCompare] = useParam('compare');
  const [selector, setSelector] = useParam('match');
  const [focus, setFocus] = useParam('focus');
  const today = dateOf(Date.now());
  const day = date || today;
  const other = compare || dateOf(Date.parse(`${day}T00:00:00Z`) - DAY_MS || Date.now());
  const params = new URLSearchParams({ date: day, compare: other, weights: 'true' });
  if (selector !== '') params.set('match[]', selector);
  if (focus !== '') params.set('focus', focus);
  const call = { path: '/api/v1/cardinality/day', params, tenant };
  const { data, error, isFetching } = useQuery({
    queryKey: ['cardinality', tenant, params.toString(), round],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => fetchData<Cardinality>(call, signal),
  });
  return (
    <>
      <Group gap="sm" mb="sm" align="end">
        <TextInput
          size="xs"
          type="date"
          label="Day (UTC)"
          max={today}
          value={day}
          onChange={(event) => setDate(event.currentTarget.value)}
        />
        <TextInput
          size="xs"
          type="date"
          label="compared with"
          max={today}
          value={other}
          onChange={(event) => setCompare(event.currentTarget.value)}
        />
        <Selector key={selector} given={selector} onChange={setSelector} />
        <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
      </Group>
      {error && <Failure error={error} />}
      {data === undefined && !error && <Quiet />}
      {data !== undefined && (
        <div aria-busy={isFetching}>
          <Summary data={data} />
          {data.series === 0 && (
            <Text size="sm">There are no series on this day. Choose another one, or another selector.</Text>
          )}
          {data.focus !== undefined && (
            <Table
              title={`Values of ${data.focus.label.slice(0, 100)} (${data.focus.values})`}
              columns={['Value', 'Series']}
              compared={data.compared !== undefined}
              rows={data.focus.series_by_value.map(({ value, series, before }) => ({
                key: value,
                name: <Cut text={value} />,
                size: series,
                before,
              }))}
              more={
                <Button size="compact-xs" variant="default" onClick={() => setFocus('')}>
                  Close
                </Button>
              }
            />
          )}
          <div className="tables">
            <Table
              title="Series by metric"
              columns={['Metric', 'Series']}
              compared={data.compared !== undefined}
              rows={data.series_by_metric.map(({ name, series, before }) => ({
                key: name,
                name: <MetricLink name={name} onChoose={setSelector} />,
                size: series,
                before,
              }))}
            />
            {data.weight_by_metric !== undefined && (
              <WeightTable weights={data.weight_by_metric} onChoose={setSelector} />
            )}
            {data.changed_metrics !== undefined && (
              <Table
                title={`Changed most since ${data.compared?.date}`}
                columns={['Metric', 'Series']}
                compared
                rows={data.changed_metrics.map(({ name, series, before }) => ({
                  key: name,
                  name: <MetricLink name={name} onChoose={setSelector} />,
                  size: series,
                  before,
                }))}
              />
            )}
            <Table
              title="Values by label"
              columns={['Label', 'Values']}
              compared={data.compared !== undefined}
              rows={data.values_by_label.map(({ name, values, before }) => ({
                key: name,
                name: (
                  <UnstyledButton className="as-link" onClick={() => setFocus(name)}>
                    <Cut text={name} />
                  </UnstyledButton>
                ),
                size: values,
                before,
              }))}
            />
            <Table
              title="Series by pair"
              columns={['Label and value', 'Series']}
              compared={data.compared !== undefined}
              rows={data.series_by_pair.map(({ label, value, series, before }) => ({
                key: JSON.stringify([label, value]),
                name: (
                  <>
                    <span className="label-name">
                      <Cut text={label} />
                    </span>
                    =<Cut text={value} />
                  </>
                ),
                size: series,
                before,
              }))}
            />
          </div>
        </div>
      )}
    </>
  );
}

function Summary({ data }: { readonly data: Cardinality }) {
  const { series, label_pairs: pairs, compared, count_error_max: errorMax } = data;
  return (
    <Text size="sm" mb="xs">
      <strong>{series.toLocaleString('en')}</strong> series and {pairs.toLocaleString('en')} pairs of labels and values
      on {data.date}
      {compared !== undefined && (
        <>
          , <Change now={series} before={compared.series} /> since {compared.date}
        </>
      )}
      {data.samples !== undefined && data.bytes !== undefined && (
        <>
          ; <strong>{printValue(data.samples, 'number')}</strong> samples in{' '}
          <strong>{printValue(data.bytes, 'bytes')}</strong>
          {data.recent_samples !== undefined &&
            data.recent_samples > 0 &&
            `, of which ${printValue(data.recent_samples, 'number')} are not stored yet and estimated`}
          {data.recent_unknown !== undefined && ` without recent ones: ${data.recent_unknown}`}
        </>
      )}
      {errorMax > 0 && `; counts may be too small by ${errorMax}, for there are very many values`}
    </Text>
  );
}

function Selector({ given, onChange }: { readonly given: string; readonly onChange: (text: string) => void }) {
  const [text, setText] = useState(given);
  return (
    <form
      style={{ flex: 1, minWidth: 200 }}
      onSubmit={(event) => {
        event.preventDefault();
        onChange(text.trim());
      }}
    >
      <TextInput
        size="xs"
        label="of series that match"
        placeholder={'all, or {job="api"}'}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={() => onChange(text.trim())}
      />
    </form>
  );
}

function MetricLink({ name, onChoose }: { readonly name: string; readonly onChoose: (selector: string) => void }) {
  const { tenant } = useScope();
  const selector = `{__name__=${quoteText(name)}}`;
  const panels = printPanels(
    [{ ...EMPTY_PANEL, expr: selector }],
    tenant === '' ? '' : new URLSearchParams({ tenant }).toString(),
  );
  return (
    <>
      <UnstyledButton className="as-link" onClick={() => onChoose(selector)}>
        <Cut text={name} />
      </UnstyledButton>{' '}
      <Link href={`/query?${panels}`} className="dim">
        query
      </Link>
    </>
  );
}

/** Samples and bytes in the store; those of one metric are its share of what it has in common with others. */
function WeightTable({
  weights,
  onChoose,
}: {
  readonly weights: NonNullable<Cardinality['weight_by_metric']>;
  readonly onChoose: (selector: string) => void;
}) {
  const largest = Math.max(1, ...weights.map(({ bytes }) => bytes));
  return (
    <section className="panel" aria-label="Bytes by metric">
      <strong>Bytes by metric</strong>
      {weights.length === 0 && <p className="dim">None.</p>}
      {weights.length > 0 && (
        <table className="dense">
          <thead>
            <tr>
              <th>Metric</th>
              <th className="number">Samples</th>
              <th className="number">Bytes</th>
              <th className="number">a sample</th>
            </tr>
          </thead>
          <tbody>
            {weights.map(({ name, samples, bytes }) => (
              <tr key={name}>
                <td>
                  <MetricLink name={name} onChoose={onChoose} />
                  <span className="share" style={{ width: `${(100 * bytes) / largest}%` }} />
                </td>
                <td className="number" title={samples.toLocaleString('en')}>
                  {printValue(samples, 'number')}
                </td>
                <td className="number" title={bytes.toLocaleString('en')}>
                  {printValue(bytes, 'bytes')}
                </td>
                <td className="number">{samples === 0 ? '–' : (bytes / samples).toPrecision(2)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

interface Row {
  readonly key: string;
  readonly name: ReactNode;
  readonly size: number;
  readonly before: number | undefined;
}

function Table({
  title,
  columns,
  compared,
  rows,
  more,
}: {
  readonly title: string;
  readonly columns: readonly [string, string];
  readonly compared: boolean;
  readonly rows: readonly Row[];
  readonly more?: ReactNode;
}) {
  const largest = Math.max(1, ...rows.map(({ size }) => size));
  return (
    <section className="panel" aria-label={title}>
      <Group justify="space-between">
        <strong className="wrapped">{title}</strong>
        {more}
      </Group>
      {rows.length === 0 && <p className="dim">None.</p>}
      {rows.length > 0 && (
        <table className="dense">
          <thead>
            <tr>
              <th>{columns[0]}</th>
              <th className="number">{columns[1]}</th>
              {compared && <th className="number">Change</th>}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ key, name, size, before }) => (
              <tr key={key}>
                <td>
                  {name}
                  <span className="share" style={{ width: `${(100 * size) / largest}%` }} />
                </td>
                <td className="number">{size.toLocaleString('en')}</td>
                {compared && (
                  <td className="number">
                    <Change now={size} before={before ?? 0} />
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Change({ now, before }: { readonly now: number; readonly before: number }) {
  if (now === before) return <span className="dim">same</span>;
  const difference = now - before;
  return (
    <span title={`before: ${before.toLocaleString('en')}`}>
      {difference > 0 ? '+' : '−'}
      {Math.abs(difference).toLocaleString('en')}
    </span>
  );
}
