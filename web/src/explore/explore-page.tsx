import { Badge, Button, CloseButton, Group, NativeSelect, Text, TextInput, UnstyledButton } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef, useState } from 'react';
import { useSearch } from 'wouter/use-browser-location';
import { type ApiCall, curlOf, send } from '../api/http.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { Failure } from '../parts/failure.tsx';
import { NoDataYet } from '../parts/no-data-yet.tsx';
import { Quiet } from '../parts/quiet.tsx';
import { useParamSetter, useScope } from '../scope.tsx';
import { MetricDetail } from './metric-detail.tsx';
import { Tile, tileStep } from './tile.tsx';
import { asSeen, kindOf, type Matcher, type Metric, prefixesOf, tileQuery } from './tile-query.ts';

const METRICS_MAX = 5_000;
const ROW_PX = 114;
const PREFIXES_SHOWN = 24;

/** A look around without a query: metrics with their kind, help and line, by prefix and label. */
export function ExplorePage() {
  const { tenant, rangeMs, endMs, round } = useScope();
  const params = new URLSearchParams(useSearch());
  const setParams = useParamSetter();
  const [term, setTerm] = useState(params.get('search') ?? '');
  const [asked] = useDebouncedValue(term, 250);
  const matchersText = params.get('matchers') ?? '';
  const matchers = useMemo(() => readMatchers(matchersText), [matchersText]);
  const setMatchers = (next: readonly Matcher[]) =>
    setParams((all) =>
      next.length === 0
        ? all.delete('matchers')
        : all.set('matchers', JSON.stringify(next.map(({ label, value }) => [label, value]))),
    );
  const prefix = params.get('prefix') ?? '';
  const chosen = params.get('metric');
  const call = searchCall(tenant, matchers, asked, rangeMs, endMs);
  const { data, error } = useQuery({
    queryKey: ['metrics', tenant, matchersText, asked, rangeMs, endMs, round],
    queryFn: async ({ signal }) => metricsIn(await (await send(call, signal)).text()),
    placeholderData: keepPreviousData,
  });
  const [histograms, onHistograms] = useHistogramNames(JSON.stringify([tenant, matchersText]));
  const names = useMemo(() => (data ?? []).map(({ name }) => name), [data]);
  const shown = useMemo(() => (data ?? []).filter(({ name }) => name.startsWith(prefix)), [data, prefix]);
  if (chosen !== null && data !== undefined) {
    const metric = data.find(({ name }) => name === chosen) ?? { name: chosen, type: '', help: '' };
    return (
      <MetricDetail
        metric={asSeen(metric, histograms)}
        onHistograms={() => onHistograms(metric.name)}
        matchers={matchers}
        names={names}
        onMetric={(name) => setParams((all) => (name === undefined ? all.delete('metric') : all.set('metric', name)))}
        onMatcher={(matcher) => setMatchers([...matchers.filter(({ label }) => label !== matcher.label), matcher])}
      />
    );
  }
  return (
    <>
      <NoDataYet />
      <Group gap="xs" mb="xs">
        <TextInput
          size="xs"
          w={260}
          aria-label="search metrics"
          placeholder="search metrics"
          value={term}
          onChange={(event) => setTerm(event.currentTarget.value)}
        />
        <MatcherForm matchers={matchers} onMatchers={setMatchers} />
        <Text size="sm" c="dimmed">
          {shown.length} metrics{data !== undefined && data.length >= METRICS_MAX ? ' (there are more)' : ''}
        </Text>
      </Group>
      <Group gap={4} mb="xs">
        {prefixesOf(names)
          .slice(0, PREFIXES_SHOWN)
          .map(([one, count]) => (
            <Button
              key={one}
              size="compact-xs"
              variant={one === prefix ? 'filled' : 'default'}
              onClick={() => setParams((all) => (one === prefix ? all.delete('prefix') : all.set('prefix', one)))}
            >
              {one.slice(0, 40)} {count}
            </Button>
          ))}
      </Group>
      {error && <Failure error={error} />}
      {data === undefined && !error && <Quiet />}
      {data !== undefined && (
        <MetricRows
          metrics={shown}
          matchers={matchers}
          histograms={histograms}
          onHistograms={onHistograms}
          onMetric={(name) => setParams((all) => all.set('metric', name))}
        />
      )}
      <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
    </>
  );
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Names of metrics whose samples are native histograms, and what tells of one.
 *
 * @param where they are: what has one name may be a gauge in another tenant, or behind another label
 */
function useHistogramNames(where: string): readonly [names: ReadonlySet<string>, add: (name: string) => void] {
  const [seen, setSeen] = useState({ where, names: NONE });
  const add = (name: string) =>
    setSeen((before) => {
      const names = before.where === where ? before.names : NONE;
      return names.has(name) ? before : { where, names: new Set([...names, name]) };
    });
  return [seen.where === where ? seen.names : NONE, add];
}

function MetricRows(props: {
  readonly metrics: readonly Metric[];
  readonly matchers: readonly Matcher[];
  readonly histograms: ReadonlySet<string>;
  readonly onHistograms: (name: string) => void;
  readonly onMetric: (name: string) => void;
}) {
  const { metrics, matchers, histograms, onHistograms, onMetric } = props;
  const { rangeMs } = useScope();
  const root = useRef<HTMLElement>(null);
  const rowList = useVirtualizer({
    count: metrics.length,
    getScrollElement: () => root.current,
    estimateSize: () => ROW_PX,
    overscan: 2,
  });
  if (metrics.length === 0) return <p className="dim">No metric fits. Take away a label or a letter.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: so that it can be scrolled by keys
    <section className="rows explore" ref={root} tabIndex={0} aria-label={`${metrics.length} metrics`}>
      <div style={{ height: rowList.getTotalSize(), position: 'relative' }}>
        {rowList.getVirtualItems().map(({ index, start }) => {
          const metric = asSeen(metrics[index]!, histograms);
          return (
            <div
              key={metric.name}
              className="explore-row"
              style={{ height: ROW_PX, transform: `translateY(${start}px)` }}
            >
              <div className="explore-what">
                <UnstyledButton className="metric wrapped explore-name" onClick={() => onMetric(metric.name)}>
                  {metric.name.slice(0, 200)}
                </UnstyledButton>
                <Badge size="xs" variant="light">
                  {metric.type || kindOf(metric)}
                </Badge>
                <div className="dim explore-help">{metric.help}</div>
              </div>
              <Tile
                expr={tileQuery(metric, matchers, tileStep(rangeMs))}
                onHistograms={() => onHistograms(metric.name)}
              />
            </div>
          );
        })}
      </div>
    </section>
  );
}

function MatcherForm(props: {
  readonly matchers: readonly Matcher[];
  readonly onMatchers: (matchers: readonly Matcher[]) => void;
}) {
  const { matchers, onMatchers } = props;
  const { tenant, round } = useScope();
  const [label, setLabel] = useState('');
  const names = useSearchNames('label_names', {}, true);
  const values = useSearchNames('label_values', { label }, label !== '', [tenant, round, label]);
  return (
    <>
      {matchers.map(({ label: name, value }) => (
        <Badge
          key={name}
          variant="light"
          tt="none"
          maw={300}
          rightSection={
            <CloseButton
              size="xs"
              aria-label={`without ${name}`}
              onClick={() => onMatchers(matchers.filter((one) => one.label !== name))}
            />
          }
        >
          {name}={value.slice(0, 80)}
        </Badge>
      ))}
      <NativeSelect
        size="xs"
        maw={180}
        aria-label="label"
        value={label}
        data={[
          { value: '', label: 'by label…' },
          ...names.filter((name) => name !== '__name__').map((name) => ({ value: name, label: name.slice(0, 60) })),
        ]}
        onChange={(event) => setLabel(event.currentTarget.value)}
      />
      {label !== '' && (
        <NativeSelect
          size="xs"
          maw={220}
          aria-label="value"
          value=""
          data={[{ value: '', label: 'value…' }, ...values.map((value) => ({ value, label: value.slice(0, 60) }))]}
          onChange={(event) => {
            onMatchers([...matchers.filter((one) => one.label !== label), { label, value: event.currentTarget.value }]);
            setLabel('');
          }}
        />
      )}
    </>
  );
}

const NAMES_MAX = '500';

function useSearchNames(
  what: 'label_names' | 'label_values',
  more: Readonly<Record<string, string>>,
  enabled: boolean,
  key: readonly unknown[] = [],
): string[] {
  const { tenant, rangeMs, endMs } = useScope();
  const { data } = useQuery({
    queryKey: ['names', what, tenant, rangeMs, endMs, ...key],
    enabled,
    queryFn: async ({ signal }) => {
      const end = endMs ?? Date.now();
      const params = new URLSearchParams({
        limit: NAMES_MAX,
        start: String((end - rangeMs) / 1000),
        end: String(end / 1000),
        sort_by: 'alpha',
        ...more,
      });
      const text = await (await send({ path: `/api/v1/search/${what}`, params, tenant }, signal)).text();
      return linesIn<{ name?: string; value?: string }>(text).map(({ name, value }) => name ?? value ?? '');
    },
  });
  return data ?? [];
}

function searchCall(
  tenant: string,
  matchers: readonly Matcher[],
  term: string,
  rangeMs: number,
  endMs: number | undefined,
): ApiCall {
  const end = endMs ?? Date.now();
  const params = new URLSearchParams({
    limit: String(METRICS_MAX),
    batch_size: '1000',
    include_metadata: 'true',
    start: String((end - rangeMs) / 1000),
    end: String(end / 1000),
  });
  if (term.trim() === '') params.set('sort_by', 'alpha');
  else {
    for (const word of term.trim().split(/\s+/).slice(0, 8)) params.append('search[]', word.slice(0, 200));
    params.set('sort_by', 'score');
    params.set('case_sensitive', 'false');
  }
  if (matchers.length > 0) {
    const pairs = matchers.map(({ label, value }) => `${JSON.stringify(label)}=${JSON.stringify(value)}`);
    params.set('match[]', `{${pairs.join(',')}}`);
  }
  return { path: '/api/v1/search/metric_names', params, tenant };
}

function metricsIn(text: string): Metric[] {
  return linesIn<Partial<Metric>>(text).map(({ name = '', type = '', help = '' }) => ({ name, type, help }));
}

function linesIn<T>(text: string): T[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.flatMap((line) => (JSON.parse(line) as { results?: T[] }).results ?? []);
}

/** Pairs of an address, which anybody may have written. */
function readMatchers(text: string): Matcher[] {
  try {
    const pairs: unknown = JSON.parse(text || '[]');
    if (!Array.isArray(pairs)) return [];
    return pairs
      .slice(0, 20)
      .flatMap((pair) =>
        Array.isArray(pair) && typeof pair[0] === 'string' && typeof pair[1] === 'string'
          ? [{ label: pair[0], value: pair[1] }]
          : [],
      );
  } catch {
    return [];
  }
}
