import {
  ActionIcon,
  Alert,
  Button,
  Group,
  NativeSelect,
  SegmentedControl,
  Text,
  TextInput,
  Tooltip,
} from '@mantine/core';
import { IconDownload, IconPlayerPlay, IconPlayerStop, IconTrash } from '@tabler/icons-react';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { lazy, type RefObject, Suspense, useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { type Answer, csvOf, type Grid } from '../api/columns.ts';
import { curlOf, send } from '../api/http.ts';
import { ApiProblem } from '../api/problem.ts';
import { callOf, runQuery } from '../api/query.ts';
import { useWidth } from '../chart/line-chart.tsx';
import { parseDuration, printDuration } from '../model/duration.ts';
import { printSeries } from '../model/labels.ts';
import { unitOf } from '../model/units.ts';
import { type PanelState, stepOf } from '../model/url-state.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { download } from '../parts/download.ts';
import { Failure, Notes } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { useScope, useVisible } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { Explain } from './explain.tsx';
import { GraphView } from './graph-view.tsx';
import { remember } from './history.ts';
import { HistoryMenu } from './history-menu.tsx';
import { QueryStatsLine } from './stats-line.tsx';
import { TableView } from './table-view.tsx';

const Editor = lazy(async () => ({ default: (await import('./editor.tsx')).Editor }));

/** Series that a graph draws; of more, the largest. */
const DRAWN_MAX = 100;
/** Rows that a table shows. */
const ROWS_MAX = 10_000;

export interface PanelProps {
  readonly panel: PanelState;
  readonly onChange: (change: Partial<PanelState>) => void;
  readonly onZoom: (startMs: number, endMs: number) => void;
  readonly onRemove: (() => void) | undefined;
}

/** One query and what came of it. */
export function Panel({ panel, onChange, onZoom, onRemove }: PanelProps) {
  const { expr, tab, rangeMs, endMs } = panel;
  const { tenant, refreshMs, round } = useScope();
  const { rights } = useSession();
  const client = useQueryClient();
  const visible = useVisible();
  const root = useRef<HTMLElement>(null);
  const width = useWidth(root);
  const [text, setText] = useState(expr);
  const [again, setAgain] = useState(0);
  useEffect(() => setText(expr), [expr]);

  const isCalm = useCalm();
  // whoever types while the other editor comes goes on in that one
  const hadFocus = useRef(false);
  const stepMs = stepOf(panel, width || 1_000);
  const queryKey = ['query', tenant, expr, tab, rangeMs, endMs, tab === 'graph' ? stepMs : 0, round, again];
  const asked = (): { readonly grid?: Grid; readonly timeMs?: number } => {
    const end = endMs ?? Date.now();
    if (tab !== 'graph') return { timeMs: end };
    // on the grid of the steps, so that points stay where they are as time goes on
    const last = endMs ?? Math.floor(end / stepMs) * stepMs;
    return { grid: { startMs: last - Math.floor(rangeMs / stepMs) * stepMs, endMs: last, stepMs } };
  };
  const { data, error, isFetching, isPlaceholderData } = useQuery({
    queryKey,
    queryFn: ({ signal }) =>
      runQuery({ expr, tenant, seriesMax: tab === 'graph' ? DRAWN_MAX : ROWS_MAX, ...asked() }, signal),
    enabled: expr.trim() !== '' && tab !== 'explain' && width > 0,
    placeholderData: keepPreviousData,
    refetchInterval: refreshMs > 0 && visible && endMs === undefined ? refreshMs : false,
  });
  // what was there before stays, also where what comes is an error
  const last = useRef<Answer>(undefined);
  if (data !== undefined) last.current = data;
  const shown = data ?? (error ? last.current : undefined);
  const run = () => {
    remember('history', tenant, text);
    if (text === expr) setAgain((before) => before + 1);
    else onChange({ expr: text });
  };
  const cancel = () => client.cancelQueries({ queryKey });
  // not that of the other kind, while this one comes
  const fits = shown !== undefined && tab !== 'explain' && (tab === 'graph') === shown.times.length > 0;
  const plainEditor = (
    <PlainEditor text={text} onText={setText} onRun={run} onFocused={(has) => (hadFocus.current = has)} />
  );
  const call = callOf({ expr, tenant, seriesMax: 0, ...asked() });
  return (
    <section className="panel" ref={root} aria-label={`query ${expr}`} data-state={isFetching ? 'busy' : 'idle'}>
      {isCalm ? (
        <Suspense fallback={plainEditor}>
          <Editor
            text={text}
            onText={setText}
            onRun={run}
            takesFocus={hadFocus.current}
            problem={error instanceof ApiProblem && text === expr ? error : undefined}
            notes={text === expr && !error ? data : undefined}
          />
        </Suspense>
      ) : (
        plainEditor
      )}
      <div className="panel-bar">
        {isFetching ? (
          <Button size="compact-sm" color="orange" leftSection={<IconPlayerStop size={14} />} onClick={cancel}>
            Cancel
          </Button>
        ) : (
          <Button size="compact-sm" leftSection={<IconPlayerPlay size={14} />} onClick={run}>
            Run
          </Button>
        )}
        <SegmentedControl
          size="xs"
          aria-label="view"
          value={tab}
          onChange={(value) => onChange({ tab: value as PanelState['tab'] })}
          data={[
            { value: 'table', label: 'Table' },
            { value: 'graph', label: 'Graph' },
            { value: 'explain', label: 'Explain' },
          ]}
        />
        {tab === 'graph' && <GraphControls panel={panel} stepMs={stepMs} onChange={onChange} />}
        <Group gap={4} className="end">
          <HistoryMenu
            expr={text}
            onPick={(picked) => {
              setText(picked);
              onChange({ expr: picked });
            }}
          />
          <Downloads answer={fits ? shown : undefined} root={root} call={call} />
          {onRemove !== undefined && (
            <Tooltip label="remove the panel">
              <ActionIcon variant="subtle" color="gray" aria-label="remove the panel" onClick={onRemove}>
                <IconTrash size={16} />
              </ActionIcon>
            </Tooltip>
          )}
        </Group>
      </div>
      <div
        className="progress"
        data-busy={isFetching || undefined}
        role="progressbar"
        aria-label="query under way"
        aria-hidden={!isFetching}
      />
      {error && !isFetching && <Failure error={error} />}
      {tab === 'explain' && expr.trim() !== '' && (
        <Explain panel={panel} tenant={tenant} stepMs={stepMs} round={round + again} />
      )}
      {fits && (
        <div className={isPlaceholderData || error ? 'stale' : ''}>
          <Notes warnings={shown.warnings} infos={shown.infos} />
          {tab === 'graph' ? (
            <GraphView answer={shown} panel={panel} unit={unitOf(expr)} onZoom={onZoom} tenant={tenant} />
          ) : (
            <TableView answer={shown} />
          )}
          <QueryStatsLine answer={shown} stepMs={tab === 'graph' ? stepMs : undefined} />
        </div>
      )}
      {shown === undefined && isFetching && <Quiet />}
      {expr.trim() === '' && (
        <Text size="sm" c="dimmed">
          Write a query, or begin to type the name of a metric. Ctrl and enter run it.
        </Text>
      )}
      {tab !== 'explain' && expr.trim() !== '' && (
        <Group gap={6} mt={6}>
          <CopyButton text={curlOf(call)} label="API call" variant="subtle" />
          <CopyButton text={window.location.href} label="Copy link" variant="subtle" />
          {rights.includes('edit') && (
            <Link href={alertAddress(expr)} className="dim">
              make an alert of this
            </Link>
          )}
        </Group>
      )}
    </section>
  );
}

const CALM_MS = 1_500;

/** Whether the page has come to rest once: what is not needed for the first picture waits for that. */
function useCalm(): boolean {
  const [isCalm, setCalm] = useState(false);
  useEffect(() => {
    const id = requestIdleCallback(() => setCalm(true), { timeout: CALM_MS });
    return () => cancelIdleCallback(id);
  }, []);
  return isCalm;
}

/** The editor of rules, with an alert on an expression. */
function alertAddress(expr: string): string {
  const params = new URLSearchParams(keptParams());
  params.set('expr', expr);
  return `/rules/edit?${params}`;
}

/** Until the other one is there. */
function PlainEditor(props: {
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly onRun: () => void;
  readonly onFocused: (hasFocus: boolean) => void;
}) {
  return (
    <textarea
      onFocus={() => props.onFocused(true)}
      onBlur={() => props.onFocused(false)}
      className="expr"
      aria-label="query"
      rows={1}
      value={props.text}
      onChange={(event) => props.onText(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey || !event.shiftKey)) {
          event.preventDefault();
          props.onRun();
        }
      }}
    />
  );
}

function GraphControls({
  panel,
  stepMs,
  onChange,
}: Pick<PanelProps, 'panel' | 'onChange'> & { readonly stepMs: number }) {
  const { display, resolution, exemplars, yAxisMin } = panel;
  const [step, setStep] = useState(printDuration(resolution.stepMs));
  const chosen = resolution.type === 'auto' ? resolution.density : resolution.type;
  return (
    <>
      <NativeSelect
        size="xs"
        aria-label="drawn as"
        value={display}
        onChange={(event) => onChange({ display: event.currentTarget.value as PanelState['display'] })}
        data={[
          { value: 'lines', label: 'Lines' },
          { value: 'stacked', label: 'Stacked' },
          { value: 'heatmap', label: 'Heatmap' },
        ]}
      />
      <NativeSelect
        size="xs"
        aria-label="resolution"
        value={chosen}
        onChange={(event) => {
          const value = event.currentTarget.value;
          if (value === 'custom') onChange({ resolution: { ...resolution, type: 'custom', stepMs } });
          else if (value === 'fixed') onChange({ resolution: { ...resolution, type: 'fixed' } });
          else onChange({ resolution: { ...resolution, type: 'auto', density: value as 'low' | 'medium' | 'high' } });
        }}
        data={[
          { value: 'low', label: 'Low res.' },
          { value: 'medium', label: 'Medium res.' },
          { value: 'high', label: 'High res.' },
          { value: 'fixed', label: 'Fixed step' },
          { value: 'custom', label: 'Own step' },
        ]}
      />
      {resolution.type === 'auto' ? (
        <Text size="xs" c="dimmed">
          step {printDuration(stepMs)}
        </Text>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const ms = parseDuration(step);
            if (ms !== undefined) onChange({ resolution: { ...resolution, stepMs: ms } });
          }}
        >
          <TextInput
            size="xs"
            w={80}
            aria-label="step"
            value={step}
            error={parseDuration(step) === undefined}
            onChange={(event) => setStep(event.currentTarget.value)}
          />
        </form>
      )}
      <label className="dim">
        <input
          type="checkbox"
          checked={yAxisMin === 'zero'}
          onChange={(event) => onChange({ yAxisMin: event.currentTarget.checked ? 'zero' : 'auto' })}
        />{' '}
        from zero
      </label>
      <label className="dim">
        <input
          type="checkbox"
          checked={exemplars}
          onChange={(event) => onChange({ exemplars: event.currentTarget.checked })}
        />{' '}
        exemplars
      </label>
    </>
  );
}

/** A drawing on the colour of the page: by itself it has none, and light lines would be lost elsewhere. */
function onGround(drawn: HTMLCanvasElement): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = drawn.width;
  canvas.height = drawn.height;
  const context = canvas.getContext('2d')!;
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(drawn, 0, 0);
  return canvas;
}

function Downloads({
  answer,
  root,
  call,
}: {
  readonly answer: Answer | undefined;
  /** The panel. */
  readonly root: RefObject<HTMLElement | null>;
  readonly call: ReturnType<typeof callOf>;
}) {
  const [error, setError] = useState<unknown>();
  if (answer === undefined) return null;
  const asJson = async () => {
    try {
      download('query.json', await (await send(call)).blob());
    } catch (thrown) {
      setError(thrown);
    }
  };
  const asPng = () => {
    const canvas = root.current?.querySelector<HTMLCanvasElement>('.chart canvas');
    const picture = canvas && onGround(canvas);
    picture?.toBlob((blob) => blob && download('graph.png', blob));
  };
  return (
    <>
      <Button.Group>
        <Button
          size="compact-xs"
          variant="default"
          leftSection={<IconDownload size={12} />}
          onClick={() => download('query.csv', csvOf(answer, printSeries), 'text/csv')}
        >
          CSV
        </Button>
        <Button size="compact-xs" variant="default" onClick={asJson}>
          JSON
        </Button>
        {answer.times.length > 0 && (
          <Button size="compact-xs" variant="default" onClick={asPng}>
            PNG
          </Button>
        )}
      </Button.Group>
      {error !== undefined && (
        <Alert color="red" p={4}>
          {String(error)}
        </Alert>
      )}
    </>
  );
}
