import { Button, Checkbox, Group, Modal, NativeSelect, Stack, Textarea, TextInput } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import type { Panel, PanelQuery, PanelRepeat } from '../../../src/contract/dashboard.ts';
import { isStacked } from '../dashboard/model.ts';
import { PanelView } from '../dashboard/panel-view.tsx';
import type { Values } from '../dashboard/variables.ts';
import { Quiet } from '../parts/quiet.tsx';
import { RepeatSelect } from './repeat-select.tsx';

const Editor = lazy(async () => ({ default: (await import('../query/editor.tsx')).Editor }));

const KINDS = [
  ['TimeSeriesChart', 'Lines'],
  ['StatChart', 'Numbers'],
  ['GaugeChart', 'Gauge'],
  ['BarChart', 'Bars'],
  ['Table', 'Table'],
  ['HeatMapChart', 'Heatmap'],
  ['StatusHistoryChart', 'States'],
  ['Markdown', 'Text'],
] as const;
const CALCULATIONS = ['last', 'mean', 'min', 'max', 'sum', 'first'];
const UNITS = [
  'decimal',
  'percent-decimal',
  'percent',
  'seconds',
  'milliseconds',
  'bytes',
  'bytes/sec',
  'bits/sec',
  'requests/sec',
  'ops/sec',
  'celsius',
  'hertz',
];

export interface PanelEditorProps {
  readonly panel: Panel;
  readonly intervalMs: number;
  readonly values: Values;
  /** Undefined: it is drawn once. */
  readonly repeat: PanelRepeat | undefined;
  /** Names of variables that it can be repeated over. */
  readonly variables: readonly string[];
  readonly onClose: () => void;
  readonly onDone: (panel: Panel, repeat: PanelRepeat | undefined) => void;
}

interface Spec {
  readonly [field: string]: unknown;
  readonly yAxis?: { readonly format?: { readonly unit?: string } };
  readonly format?: { readonly unit?: string };
  readonly yAxisFormat?: { readonly unit?: string };
  readonly calculation?: string;
  readonly text?: string;
}

/** A panel's title, kind, unit and queries, with the panel as it becomes. */
export function PanelEditor(props: PanelEditorProps) {
  const { panel: given, intervalMs, values, variables, onClose, onDone } = props;
  const [panel, setPanel] = useState(given);
  const [repeat, setRepeat] = useState(props.repeat);
  const { display, plugin, queries = [] } = panel.spec;
  const spec = (plugin.spec ?? {}) as Spec;
  const unit = spec.yAxis?.format?.unit ?? spec.format?.unit ?? spec.yAxisFormat?.unit ?? 'decimal';
  const set = (change: Partial<Panel['spec']>) =>
    setPanel((before) => ({ ...before, spec: { ...before.spec, ...change } }));
  const isKnown = KINDS.some(([kind]) => kind === plugin.kind);
  const look = (kind: string, nextUnit: string, more: object = {}) =>
    set({ plugin: { kind, spec: specOf(kind, nextUnit, spec, more) } });
  const setQuery = (at: number, change: { readonly query?: string; readonly seriesNameFormat?: string }) =>
    set({ queries: queries.map((query, i) => (i === at ? withQuery(query, change) : query)) });
  return (
    // escape closes the list of completions
    <Modal
      opened
      closeOnEscape={false}
      onClose={onClose}
      title="Panel"
      size="xl"
      closeButtonProps={{ 'aria-label': 'close' }}
    >
      <Stack gap="xs">
        <div className="editor-preview">
          <PanelView panel={panel} intervalMs={intervalMs} values={values} rows={7} />
        </div>
        <Group gap="xs" grow align="end">
          <TextInput
            size="xs"
            label="Title"
            value={display.name}
            onChange={(event) => set({ display: { ...display, name: event.currentTarget.value } })}
          />
          <NativeSelect
            size="xs"
            label="Kind"
            value={plugin.kind}
            data={[
              ...KINDS.map(([value, label]) => ({ value, label })),
              ...(isKnown ? [] : [{ value: plugin.kind, label: `${plugin.kind.slice(0, 40)} (kept)` }]),
            ]}
            onChange={(event) => look(event.currentTarget.value, unit)}
          />
          {isKnown && !['Table', 'Markdown', 'StatusHistoryChart'].includes(plugin.kind) && (
            <NativeSelect
              size="xs"
              label="Unit"
              value={unit}
              data={UNITS.includes(unit) ? UNITS : [...UNITS, unit]}
              onChange={(event) => look(plugin.kind, event.currentTarget.value)}
            />
          )}
          {['StatChart', 'GaugeChart', 'BarChart'].includes(plugin.kind) && (
            <NativeSelect
              size="xs"
              label="Value"
              value={spec.calculation ?? 'last'}
              data={CALCULATIONS}
              onChange={(event) => look(plugin.kind, unit, { calculation: event.currentTarget.value })}
            />
          )}
        </Group>
        {plugin.kind === 'TimeSeriesChart' && (
          <Checkbox
            size="xs"
            label="stacked"
            checked={isStacked(panel)}
            onChange={(event) =>
              look(plugin.kind, unit, {
                visual: event.currentTarget.checked ? { stack: 'all', areaOpacity: 0.6 } : undefined,
              })
            }
          />
        )}
        {(variables.length > 0 || repeat !== undefined) && (
          <Group gap="xs" align="end">
            <RepeatSelect
              label="repeated over"
              value={repeat?.variable ?? ''}
              variables={variables}
              onChange={(variable) =>
                setRepeat((before) => (variable === '' ? undefined : { direction: 'h', ...before, variable }))
              }
            />
            {repeat !== undefined && (
              <NativeSelect
                size="xs"
                aria-label="placed"
                value={repeat.direction}
                data={[
                  { value: 'h', label: 'beside each other' },
                  { value: 'v', label: 'below each other' },
                ]}
                onChange={(event) => setRepeat({ ...repeat, direction: event.currentTarget.value === 'v' ? 'v' : 'h' })}
              />
            )}
          </Group>
        )}
        <TextInput
          size="xs"
          label="Description"
          value={display.description ?? ''}
          onChange={(event) => set({ display: { ...display, description: event.currentTarget.value } })}
        />
        {plugin.kind === 'Markdown' && (
          <Textarea
            label="Text"
            rows={8}
            value={spec.text ?? ''}
            onChange={(event) => set({ plugin: { kind: 'Markdown', spec: { text: event.currentTarget.value } } })}
          />
        )}
        {isKnown &&
          plugin.kind !== 'Markdown' &&
          queries.map((query, at) =>
            query.spec.plugin.kind === 'PrometheusTimeSeriesQuery' ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: a query is its place
              <div key={at}>
                <Suspense fallback={<Quiet />}>
                  <Editor
                    text={query.spec.plugin.spec.query}
                    onText={(text) => setQuery(at, { query: text })}
                    onRun={() => {}}
                    takesFocus={false}
                    problem={undefined}
                    values={values}
                  />
                </Suspense>
                <Group gap="xs" mt={4}>
                  <TextInput
                    size="xs"
                    placeholder="name of a series: {{label}}"
                    aria-label="name of a series"
                    value={query.spec.plugin.spec.seriesNameFormat ?? ''}
                    onChange={(event) => setQuery(at, { seriesNameFormat: event.currentTarget.value })}
                  />
                  <Button
                    size="compact-xs"
                    variant="default"
                    onClick={() => set({ queries: queries.filter((_, i) => i !== at) })}
                  >
                    Remove query
                  </Button>
                </Group>
              </div>
            ) : (
              // biome-ignore lint/suspicious/noArrayIndexKey: a query is its place
              <p key={at} className="dim">
                A query of kind {query.spec.plugin.kind.slice(0, 60)} is kept.
              </p>
            ),
          )}
        <Group gap="xs">
          {isKnown && plugin.kind !== 'Markdown' && (
            <Button size="xs" variant="default" onClick={() => set({ queries: [...queries, NEW_QUERY] })}>
              Add query
            </Button>
          )}
          <Button size="xs" onClick={() => onDone(panel, repeat)}>
            Done
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

const NEW_QUERY: PanelQuery = {
  kind: 'TimeSeriesQuery',
  spec: { plugin: { kind: 'PrometheusTimeSeriesQuery', spec: { query: '' } } },
};

function withQuery(query: PanelQuery, change: object): PanelQuery {
  const { plugin } = query.spec;
  return { ...query, spec: { ...query.spec, plugin: { ...plugin, spec: { ...plugin.spec, ...change } } } };
}

/** The specification of a kind, with the unit where that kind has it. */
function specOf(kind: string, unit: string, before: Spec, more: object): Readonly<Record<string, unknown>> {
  const { yAxis, format, yAxisFormat, calculation, visual, max, text } = { ...before, ...more } as Spec;
  switch (kind) {
    case 'TimeSeriesChart':
      return {
        yAxis: { ...yAxis, format: { ...yAxis?.format, unit } },
        ...(visual !== undefined && { visual }),
      };
    case 'StatChart':
    case 'BarChart':
      return { calculation: calculation ?? 'last', format: { ...format, unit } };
    case 'GaugeChart':
      return { calculation: calculation ?? 'last', format: { ...format, unit }, ...(max !== undefined && { max }) };
    case 'HeatMapChart':
      return { yAxisFormat: { ...yAxisFormat, unit } };
    case 'Markdown':
      return { text: text ?? '' };
    default:
      return {};
  }
}
