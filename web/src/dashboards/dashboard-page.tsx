import { ActionIcon, Alert, Anchor, Button, Group, Text, TextInput } from '@mantine/core';
import { IconArrowsMove, IconCopy, IconPencil, IconTrash } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type PointerEvent, useEffect, useMemo, useState } from 'react';
import { Link, useLocation, useParams } from 'wouter';
import { useSearch } from 'wouter/use-browser-location';
import type { Annotation, Dashboard, GridItem, KeptDashboard, Variable } from '../../../src/contract/dashboard.ts';
import type { EventAnswer } from '../../../src/contract/services.ts';
import { curlOf, fetchData, send } from '../api/http.ts';
import { ApiProblem } from '../api/problem.ts';
import { markOf, type TimeMark } from '../chart/time-mark.ts';
import { DashboardView } from '../dashboard/dashboard-view.tsx';
import { COLUMNS } from '../dashboard/grid.ts';
import { panelAt } from '../dashboard/model.ts';
import { TimeMarks } from '../dashboard/time-marks.ts';
import { useAnnotations } from '../dashboard/use-annotations.ts';
import { useSampleInterval } from '../dashboard/use-sample-interval.ts';
import { useVariables } from '../dashboard/use-variables.ts';
import { VariableBar } from '../dashboard/variable-bar.tsx';
import { parseDuration, printDuration } from '../model/duration.ts';
import { RANGE_DEFAULT_MS } from '../model/url-state.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { DeleteDialog } from '../parts/delete-dialog.tsx';
import { download } from '../parts/download.ts';
import { Failure } from '../parts/failure.tsx';
import { keptParams } from '../parts/kept-params.ts';
import { Quiet } from '../parts/quiet.tsx';
import { useParamSetter, useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { addDashboard, dashboardPath, fetchDashboard, removeDashboard, saveDashboard } from './api.ts';
import {
  EMPTY_PANEL_MODEL,
  type ItemPlace,
  keyOf,
  withItemMoved,
  withItemRepeat,
  withNewPanel,
  withoutItem,
  withoutSection,
  withPanel,
  withSection,
  withSectionRepeat,
  withSectionTitle,
} from './edits.ts';
import { PanelEditor } from './panel-editor.tsx';
import { RepeatSelect } from './repeat-select.tsx';
import { SettingsEditor } from './settings-editor.tsx';
import { Versions } from './versions.tsx';

const ROW_PX = 36;

/** A kept dashboard, looked at and changed in place. */
export function DashboardPage() {
  const { tenant, round } = useScope();
  const [location, navigate] = useLocation();
  const { id = '' } = useParams<{ id: string }>();
  const params = new URLSearchParams(useSearch());
  const version = /^\d+$/.test(params.get('version') ?? '') ? Number(params.get('version')) : undefined;
  const { data, error } = useQuery({
    queryKey: ['dashboard', tenant, id, version, round],
    staleTime: 0,
    queryFn: ({ signal }) => fetchDashboard(tenant, id, version, signal),
  });
  // it opens with its own range, where the address names none
  const duration = data?.dashboard.spec.duration;
  useEffect(() => {
    const all = new URLSearchParams(window.location.search);
    const rangeMs = parseDuration(duration ?? '');
    if (rangeMs === undefined || rangeMs === RANGE_DEFAULT_MS || all.has('range')) return;
    all.set('range', printDuration(rangeMs));
    navigate(`${location}?${all}`, { replace: true });
  }, [duration, location, navigate]);
  if (error && data === undefined) return <Failure error={error} />;
  if (data === undefined) return <Quiet />;
  return (
    <Opened key={`${id} ${tenant}`} kept={data} isOld={version !== undefined} edits={params.get('edit') === '1'} />
  );
}

interface OpenedProps {
  readonly kept: KeptDashboard;
  /** It is an earlier version. */
  readonly isOld: boolean;
  readonly edits: boolean;
}

/** A changed dashboard, and the version that it is made from. */
interface Draft {
  readonly dashboard: Dashboard;
  readonly from: number;
}

function Opened({ kept, isOld, edits }: OpenedProps) {
  const { tenant } = useScope();
  const { rights } = useSession();
  const client = useQueryClient();
  const setParams = useParamSetter();
  const [, navigate] = useLocation();
  const [draft, setDraft] = useState<Draft>();
  const [open, setOpen] = useState<'settings' | 'versions' | 'remove'>();
  const [marked, setMarked] = useState(false);
  const [edited, setEdited] = useState<ItemPlace>();
  const [error, setError] = useState<unknown>();
  const mayEdit = rights.includes('edit');
  const { id, version } = kept;
  // the draft begins with what is there when the editing begins
  useEffect(() => {
    if (!edits || !mayEdit) setDraft(undefined);
    else setDraft((before) => before ?? { dashboard: kept.dashboard, from: kept.version.number });
  }, [edits, mayEdit, kept]);
  const dashboard = draft?.dashboard ?? kept.dashboard;
  const { spec } = dashboard;
  const variables = useVariables(spec.variables);
  const intervalMs = useSampleInterval(dashboard, variables?.values);
  const annotations = spec.annotations ?? NO_ANNOTATIONS;
  const [switched, setSwitched] = useState<ReadonlyMap<string, boolean>>(new Map());
  const isOn = ({ display }: Annotation) => switched.get(display?.name ?? '') ?? display?.hidden !== true;
  const deployments = useDeployments(marked);
  const annotated = useAnnotations(annotations, variables?.values, isOn);
  const timeMarks = useMemo(() => [...deployments, ...annotated], [deployments, annotated]);
  const editedItem = edited && spec.layouts[edited.section]?.spec.items[edited.at];
  const editedPanel = editedItem && spec.panels[keyOf(editedItem)];
  const change = (next: Dashboard) => setDraft((before) => before && { ...before, dashboard: next });
  const setEdit = (on: boolean) =>
    setParams((all) => {
      all.delete('version');
      if (on) all.set('edit', '1');
      else all.delete('edit');
    });
  const act = async (work: () => Promise<void>) => {
    try {
      await work();
      setError(undefined);
    } catch (thrown) {
      setError(thrown);
    }
  };
  const renewed = () => client.invalidateQueries({ queryKey: ['dashboard', tenant, id] });
  const save = () =>
    act(async () => {
      await saveDashboard(tenant, id, draft!.from, dashboard);
      await renewed();
      setEdit(false);
    });
  const saveCopy = () =>
    act(async () => {
      const saved = await addDashboard(tenant, dashboard);
      navigate(`/dashboards/${saved.id}${keptParams()}`);
    });
  const restore = () =>
    act(async () => {
      const current = await fetchDashboard(tenant, id, undefined, new AbortController().signal);
      await saveDashboard(tenant, id, current.version.number, kept.dashboard);
      await renewed();
      setEdit(false);
    });
  const fileOf = async (format: 'perses' | 'grafana') => {
    const response = await send({ path: dashboardPath(id), params: new URLSearchParams({ format }), tenant });
    download(`${id}.${format}.json`, JSON.stringify(await response.json(), undefined, 2), 'application/json');
  };
  const isConflict = error instanceof ApiProblem && error.status === 409;
  return (
    <>
      <Group gap="sm" mb="xs">
        <Anchor component={Link} href={`/dashboards${keptParams()}`} size="sm">
          all dashboards
        </Anchor>
        <Text component="h2" fw={600} className="wrapped">
          {spec.display.name.slice(0, 300)}
        </Text>
        {draft === undefined ? (
          <Group gap={6}>
            {mayEdit && !isOld && (
              <Button size="compact-xs" onClick={() => setEdit(true)}>
                Edit
              </Button>
            )}
            <Button size="compact-xs" variant="default" onClick={() => setOpen('versions')}>
              Versions
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => void act(() => fileOf('perses'))}>
              Perses JSON
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => void act(() => fileOf('grafana'))}>
              Grafana JSON
            </Button>
            {mayEdit && !isOld && (
              <Button size="compact-xs" variant="default" color="red" onClick={() => setOpen('remove')}>
                Delete
              </Button>
            )}
          </Group>
        ) : (
          <Group gap={6}>
            <Button size="compact-xs" onClick={save}>
              Save
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => setEdit(false)}>
              Discard
            </Button>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => change(withNewPanel(dashboard, Number.MAX_SAFE_INTEGER, EMPTY_PANEL_MODEL))}
            >
              Add panel
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => change(withSection(dashboard, 'Section'))}>
              Add section
            </Button>
            <Button size="compact-xs" variant="default" onClick={() => setOpen('settings')}>
              Settings and variables
            </Button>
          </Group>
        )}
      </Group>
      {spec.display.description !== undefined && spec.display.description !== '' && (
        <p className="dim wrapped">{spec.display.description.slice(0, 2_000)}</p>
      )}
      {isOld && (
        <Alert color="blue" p="xs" mb="xs" role="status">
          This is version {version.number} by {version.user || 'nobody'}.{' '}
          {mayEdit && (
            <Button size="compact-xs" variant="default" onClick={restore}>
              Make it the current one
            </Button>
          )}{' '}
          <Button size="compact-xs" variant="default" onClick={() => setEdit(false)}>
            Back
          </Button>
        </Alert>
      )}
      {isConflict && (
        <Alert color="yellow" p="xs" mb="xs" role="alert">
          <div className="wrapped">Another one has changed this dashboard since you began: {error.message}</div>
          <Group gap={6} mt={4}>
            <Button size="compact-xs" variant="default" onClick={saveCopy}>
              Save mine as a copy
            </Button>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() =>
                void act(async () => {
                  setEdit(false);
                  await renewed();
                })
              }
            >
              Drop mine and see theirs
            </Button>
          </Group>
        </Alert>
      )}
      {error !== undefined && !isConflict && <Failure error={error} />}
      <Group gap="xs" justify="space-between">
        {variables === undefined ? <Quiet /> : <VariableBar shown={variables.shown} />}
        <Group gap="sm">
          {annotations.slice(0, SWITCHES_MAX).map((annotation, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two may have one name
            <label key={i} className="dim">
              <input
                type="checkbox"
                checked={isOn(annotation)}
                onChange={(event) => {
                  const isChecked = event.currentTarget.checked;
                  setSwitched((all) => new Map([...all, [annotation.display?.name ?? '', isChecked]]));
                }}
              />{' '}
              {(annotation.display?.name ?? '').slice(0, 60)}
            </label>
          ))}
          <label className="dim">
            <input type="checkbox" checked={marked} onChange={(event) => setMarked(event.currentTarget.checked)} />{' '}
            deployments
          </label>
        </Group>
      </Group>
      {Object.keys(spec.panels).length === 0 && <Text size="sm">No panels yet.</Text>}
      {variables !== undefined && intervalMs !== undefined && (
        <TimeMarks value={timeMarks}>
          <DashboardView
            dashboard={dashboard}
            intervalMs={intervalMs}
            values={variables.values}
            choices={variables.choices}
            {...(draft !== undefined && {
              sectionTools: (section: number) => (
                <SectionTools dashboard={dashboard} section={section} onChange={change} />
              ),
              itemTools: (section: number, at: number, item: GridItem) => (
                <ItemTools
                  dashboard={dashboard}
                  section={section}
                  at={at}
                  item={item}
                  onChange={change}
                  onEdit={() => setEdited({ section, at })}
                />
              ),
            })}
          />
        </TimeMarks>
      )}
      <CopyButton text={curlOf({ path: dashboardPath(id), tenant })} label="API call" variant="subtle" />
      {draft !== undefined && editedItem !== undefined && editedPanel !== undefined && (
        <PanelEditor
          key={keyOf(editedItem)}
          panel={editedPanel}
          repeat={editedItem.repeat}
          variables={listNames(spec.variables)}
          intervalMs={intervalMs ?? 60_000}
          values={variables?.values ?? new Map()}
          onClose={() => setEdited(undefined)}
          onDone={(panel, repeat) => {
            change(withItemRepeat(withPanel(dashboard, keyOf(editedItem), panel), edited!, repeat));
            setEdited(undefined);
          }}
        />
      )}
      {draft !== undefined && open === 'settings' && (
        <SettingsEditor
          dashboard={dashboard}
          onClose={() => setOpen(undefined)}
          onDone={(next) => {
            change(next);
            setOpen(undefined);
          }}
        />
      )}
      {open === 'versions' && <Versions id={id} current={kept} onClose={() => setOpen(undefined)} />}
      <DeleteDialog
        opened={open === 'remove'}
        title="Delete this dashboard?"
        onClose={() => setOpen(undefined)}
        onDelete={() =>
          void act(async () => {
            await removeDashboard(tenant, id, version.number);
            navigate(`/dashboards${keptParams()}`);
          })
        }
      />
    </>
  );
}

const NO_MARKS: readonly TimeMark[] = [];
const NO_ANNOTATIONS: readonly Annotation[] = [];
const SWITCHES_MAX = 12;
const MARKS_MAX = 100;

/** The tenant's deployments and events in the range, the newest where there are many. */
function useDeployments(isAsked: boolean): readonly TimeMark[] {
  const { tenant, rangeMs, endMs, round } = useScope();
  const { data } = useQuery({
    queryKey: ['dashboard-events', tenant, rangeMs, endMs, round],
    enabled: isAsked,
    queryFn: async ({ signal }) => {
      const end = endMs ?? Date.now();
      const params = new URLSearchParams({ start: String((end - rangeMs) / 1000), end: String(end / 1000) });
      const events = await fetchData<readonly EventAnswer[]>({ path: '/api/v1/events', params, tenant }, signal);
      return events.slice(-MARKS_MAX).map((event) => {
        const mark = markOf(event);
        return event.service === undefined
          ? mark
          : { ...mark, text: `${event.service.name.slice(0, 100)}: ${mark.text}` };
      });
    },
  });
  return isAsked && data !== undefined ? data : NO_MARKS;
}

interface ToolsProps {
  readonly dashboard: Dashboard;
  readonly section: number;
  readonly onChange: (next: Dashboard) => void;
}

/** Variables that something can be repeated over. */
function listNames(variables: readonly Variable[]): string[] {
  return variables.filter(({ kind }) => kind === 'ListVariable').map(({ spec }) => spec.name);
}

function SectionTools({ dashboard, section, onChange }: ToolsProps) {
  const repeatVariable = dashboard.spec.layouts[section]?.spec.repeatVariable ?? '';
  const variables = listNames(dashboard.spec.variables);
  const title = dashboard.spec.layouts[section]?.spec.display?.title ?? '';
  return (
    // a click on what stands in a summary would fold the section
    // biome-ignore lint/a11y/noStaticElementInteractions: it only keeps clicks to itself
    // biome-ignore lint/a11y/useKeyWithClickEvents: as above
    <span className="section-tools" onClick={(event) => event.preventDefault()}>
      <TextInput
        size="xs"
        aria-label="section title"
        placeholder="section without a title"
        value={title}
        onChange={(event) => onChange(withSectionTitle(dashboard, section, event.currentTarget.value))}
        onKeyUp={(event) => event.key === ' ' && event.preventDefault()}
      />
      {(variables.length > 0 || repeatVariable !== '') && (
        <RepeatSelect
          label="section repeated over"
          value={repeatVariable}
          variables={variables}
          onChange={(variable) => onChange(withSectionRepeat(dashboard, section, variable))}
        />
      )}
      <ActionIcon
        size="sm"
        variant="default"
        aria-label="remove section"
        onClick={() => onChange(withoutSection(dashboard, section))}
      >
        <IconTrash size={14} />
      </ActionIcon>
    </span>
  );
}

interface ItemToolsProps extends ToolsProps {
  readonly at: number;
  readonly item: GridItem;
  readonly onEdit: () => void;
}

const STEPS: Readonly<Record<string, readonly [x: number, y: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Moves and sizes a panel by mouse or arrow keys (with shift: its size), copies and removes it. */
function ItemTools({ dashboard, section, at, item, onChange, onEdit }: ItemToolsProps) {
  const panel = panelAt(dashboard, item.content.$ref);
  const move = (change: Partial<GridItem>) => onChange(withItemMoved(dashboard, section, at, change));
  const drag = dragging(item, move);
  return (
    <>
      <div className="item-tools">
        <ActionIcon
          size="sm"
          variant="subtle"
          className="item-move"
          aria-label="move"
          title="drag, or arrow keys; with shift they change the size"
          onPointerDown={(event: PointerEvent<HTMLElement>) => drag(event, 'move')}
          onKeyDown={(event) => {
            const [dx, dy] = STEPS[event.key] ?? [0, 0];
            if (dx === 0 && dy === 0) return;
            event.preventDefault();
            if (event.shiftKey) move({ width: item.width + dx, height: item.height + dy });
            // over the one that lies there
            else move({ x: item.x + dx, y: item.y + dy * item.height });
          }}
        >
          <IconArrowsMove size={14} />
        </ActionIcon>
        <ActionIcon size="sm" variant="subtle" aria-label="edit panel" onClick={onEdit}>
          <IconPencil size={14} />
        </ActionIcon>
        <ActionIcon
          size="sm"
          variant="subtle"
          aria-label="copy panel"
          onClick={() => panel !== undefined && onChange(withNewPanel(dashboard, section, panel, item))}
        >
          <IconCopy size={14} />
        </ActionIcon>
        <ActionIcon
          size="sm"
          variant="subtle"
          aria-label="remove panel"
          onClick={() => onChange(withoutItem(dashboard, section, at))}
        >
          <IconTrash size={14} />
        </ActionIcon>
      </div>
      <button
        type="button"
        className="item-size"
        aria-label="size"
        tabIndex={-1}
        onPointerDown={(event) => drag(event, 'size')}
      >
        ◢
      </button>
    </>
  );
}

/** Follows the pointer, and changes the item where it is let go. */
function dragging(item: GridItem, onDone: (change: Partial<GridItem>) => void) {
  return (event: PointerEvent<HTMLElement>, what: 'move' | 'size') => {
    const cell = event.currentTarget.closest<HTMLElement>('.grid-item');
    const grid = cell?.parentElement;
    if (!cell || !grid || event.button !== 0) return;
    event.preventDefault();
    const columnPx = grid.clientWidth / COLUMNS;
    const [fromX, fromY] = [event.clientX, event.clientY];
    const steps = (to: globalThis.PointerEvent) => [
      Math.round((to.clientX - fromX) / columnPx),
      Math.round((to.clientY - fromY) / ROW_PX),
    ];
    const follow = (to: globalThis.PointerEvent) => {
      if (what === 'move') cell.style.transform = `translate(${to.clientX - fromX}px, ${to.clientY - fromY}px)`;
      else {
        cell.style.outline = '2px dashed var(--mantine-primary-color-filled)';
        const [dx, dy] = steps(to);
        cell.style.gridColumn = `${item.x + 1} / span ${Math.min(COLUMNS - item.x, Math.max(2, item.width + dx!))}`;
        cell.style.gridRow = `${item.y + 1} / span ${Math.max(2, item.height + dy!)}`;
      }
    };
    const end = (to: globalThis.PointerEvent) => {
      window.removeEventListener('pointermove', follow);
      window.removeEventListener('pointerup', end);
      cell.style.transform = '';
      cell.style.outline = '';
      const [dx, dy] = steps(to);
      if (dx === 0 && dy === 0) return;
      onDone(
        what === 'move'
          ? { x: item.x + dx!, y: Math.max(0, item.y + dy!) }
          : { width: Math.min(COLUMNS - item.x, item.width + dx!), height: item.height + dy! },
      );
    };
    window.addEventListener('pointermove', follow);
    window.addEventListener('pointerup', end);
  };
}
