import { parseDuration, printDuration } from './duration.ts';

// A page of panels as Prometheus writes it in an address: `g0.expr=up&g0.tab=graph&g0.range_input=1h`. Links in alerts and
// bookmarks have this form. Parameters that no panel has are kept.

export type Tab = 'table' | 'graph' | 'explain';
export type DisplayMode = 'lines' | 'stacked' | 'heatmap';

export interface Resolution {
  readonly type: 'auto' | 'fixed' | 'custom';
  /** For `auto`: how many points. */
  readonly density: 'low' | 'medium' | 'high';
  /** For the others, ms. */
  readonly stepMs: number;
}

export interface PanelState {
  readonly expr: string;
  readonly tab: Tab;
  readonly display: DisplayMode;
  /** Length of a graph, ms. */
  readonly rangeMs: number;
  /** End of a graph, and moment of a table, Unix ms; undefined: now. */
  readonly endMs: number | undefined;
  readonly resolution: Resolution;
  readonly exemplars: boolean;
  readonly yAxisMin: 'zero' | 'auto';
}

export const PANELS_MAX = 32;
export const RANGE_DEFAULT_MS = 3_600_000;

export const EMPTY_PANEL: PanelState = {
  expr: '',
  tab: 'graph',
  display: 'lines',
  rangeMs: RANGE_DEFAULT_MS,
  endMs: undefined,
  resolution: { type: 'auto', density: 'medium', stepMs: 15_000 },
  exemplars: false,
  yAxisMin: 'auto',
};

/** The panels of an address, at least one. */
export function parsePanels(query: string): PanelState[] {
  const params = new URLSearchParams(query);
  const byPanel = new Map<number, Map<string, string>>();
  for (const [key, value] of params) {
    const [, number, name] = /^g(\d{1,3})\.(\w+)$/.exec(key) ?? [];
    if (name === undefined) continue;
    const panel = byPanel.get(Number(number)) ?? new Map<string, string>();
    panel.set(name, value);
    byPanel.set(Number(number), panel);
  }
  const panels = [...byPanel].sort(([a], [b]) => a - b).map(([, fields]) => panelOf(fields));
  return panels.length === 0 ? [EMPTY_PANEL] : panels.slice(0, PANELS_MAX);
}

function panelOf(fields: ReadonlyMap<string, string>): PanelState {
  const get = (name: string) => fields.get(name) ?? '';
  const tab = get('tab');
  const display = get('display_mode');
  const isTable = tab === '1' || tab === 'table' || (tab === '' && !fields.has('range_input') && !fields.has('expr'));
  return {
    expr: get('expr'),
    tab: tab === 'explain' ? 'explain' : isTable ? 'table' : 'graph',
    display: display === 'stacked' || display === 'heatmap' ? display : get('stacked') === '1' ? 'stacked' : 'lines',
    rangeMs: parseDuration(get('range_input')) ?? RANGE_DEFAULT_MS,
    endMs: parseTime(get('end_input')) ?? parseTime(get('moment_input')),
    resolution: resolutionOf(get),
    exemplars: get('show_exemplars') === '1',
    yAxisMin: get('y_axis_min') === 'zero' ? 'zero' : 'auto',
  };
}

function resolutionOf(get: (name: string) => string): Resolution {
  const old = parseDuration(get('step_input'));
  const type = get('res_type');
  const density = get('res_density');
  const stepMs = parseDuration(get('res_step')) ?? old ?? EMPTY_PANEL.resolution.stepMs;
  return {
    type: type === 'fixed' || type === 'custom' ? type : type === '' && old !== undefined ? 'custom' : 'auto',
    density: density === 'low' || density === 'high' ? density : 'medium',
    stepMs,
  };
}

/** The query of an address with these panels in place of those that it has. */
export function printPanels(panels: readonly PanelState[], query: string): string {
  const params = new URLSearchParams(query);
  for (const key of [...params.keys()]) if (/^g\d+\./.test(key)) params.delete(key);
  for (const [i, panel] of panels.entries()) {
    const set = (name: string, value: string) => params.set(`g${i}.${name}`, value);
    set('expr', panel.expr);
    set('tab', panel.tab);
    set('display_mode', panel.display);
    set('range_input', printDuration(panel.rangeMs));
    if (panel.endMs !== undefined) {
      set('end_input', printTime(panel.endMs));
      set('moment_input', printTime(panel.endMs));
    }
    const { type, density, stepMs } = panel.resolution;
    set('res_type', type);
    if (type === 'auto') set('res_density', density);
    else set('res_step', printDuration(stepMs));
    set('show_exemplars', panel.exemplars ? '1' : '0');
    if (panel.yAxisMin === 'zero') set('y_axis_min', 'zero');
  }
  return params.toString();
}

/** `2026-11-29 06:00:00`, UTC, as Prometheus writes it; Unix seconds and RFC 3339 are read too. */
export function parseTime(text: string): number | undefined {
  if (/^\d{9,11}(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  const plain = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?$/.exec(text.trim());
  const ms = plain === null ? Date.parse(text) : Date.parse(`${plain[1]}T${plain[2] ?? '00:00'}Z`);
  return Number.isFinite(ms) && text.trim() !== '' ? ms : undefined;
}

export function printTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

const POINTS: Readonly<Record<Resolution['density'], number>> = { low: 100, medium: 500, high: 2_000 };
/** The API answers no more points of a series. */
const STEPS_MAX = 11_000;

/** The step of a graph, ms: at most a point for each two pixels where it is chosen by itself. */
export function stepOf({ resolution, rangeMs }: Pick<PanelState, 'resolution' | 'rangeMs'>, widthPx: number): number {
  const { type, density, stepMs } = resolution;
  const points = Math.min(POINTS[density], Math.max(50, Math.floor(widthPx / 2)));
  const wanted = type === 'auto' ? Math.max(1_000, rangeMs / (density === 'high' ? POINTS.high : points)) : stepMs;
  return Math.max(Math.ceil(wanted / 1_000) * 1_000, Math.ceil(rangeMs / STEPS_MAX / 1_000) * 1_000);
}
