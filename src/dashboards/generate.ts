import type { GridItem, Layout } from '../contract/dashboard.ts';
import type { GeneratedDashboard, GeneratedPanel, PanelPlugin } from './dashboard.ts';
import { fallbackPanels, familyOf, type MetricFacts } from './fallback.ts';
import { filled, isAnswered, metricsOf, type Presence, parseTemplate } from './needs.ts';
import { RATE_INTERVAL } from './rate-interval.ts';
import type { PanelTemplate, QueryTemplate, Scope, Template } from './template.ts';
import { TEMPLATES } from './templates/index.ts';

/** A service as its dashboard is made for it. */
export interface Subject {
  readonly name: string;
  /** The title. */
  readonly title: string;
  readonly project: string;
  /** Matchers by scope. */
  readonly selectors: Readonly<Record<Scope, string>>;
  /** Metrics by scope. */
  readonly presence: Readonly<Record<Scope, Presence>>;
  /** Names of its own metrics, ascending: what no template knows is drawn by its name. */
  readonly metrics: readonly string[];
  readonly factsOf: (metric: string) => MetricFacts | undefined;
}

/** Panels of metrics that no template knows; more are told, not drawn. */
const FALLBACK_MAX = 120;
/** Sections of those: families with the same first word. */
const SECTION_MIN = 3;
const COLUMNS = 24;
const PANEL = { width: 12, height: 8 };

interface Section {
  readonly title: string;
  readonly isOpen: boolean;
  readonly panels: readonly GeneratedPanel[];
}

/** The generated dashboard, and how many panels were left out for their number. */
export function generateDashboard(subject: Subject): {
  readonly dashboard: GeneratedDashboard;
  readonly leftOut: number;
} {
  const sections: Section[] = [];
  const drawn = new Set<string>();
  const titles = new Set<string>();
  for (const template of TEMPLATES) {
    // of two conventions with one title, the first tells all
    if (titles.has(template.title)) continue;
    const panels = panelsOf(template, subject, drawn);
    if (panels.length === 0) continue;
    titles.add(template.title);
    sections.push({ title: template.title, isOpen: true, panels });
  }
  const { others, leftOut } = fallbackSections(subject, drawn);
  return { dashboard: dashboardOf(subject, [...sections, ...others]), leftOut };
}

/** Panels of a template that have an answer; none where nothing tells that it is meant. @param drawn gets their metrics */
function panelsOf(template: Template, subject: Subject, drawn: Set<string>): GeneratedPanel[] {
  const { signs, isMeant, scope, panels } = template;
  const presence = subject.presence[scope];
  const has = (metric: string) => presence.has(metric);
  if (!signs.some(has) || isMeant?.(has) === false) return [];
  const shown: GeneratedPanel[] = [];
  for (const panel of panels) {
    const queries = panel.queries.filter(({ expr }) => {
      const parsed = parseTemplate(expr);
      if (!isAnswered(parsed, presence)) return false;
      for (const metric of metricsOf(parsed)) drawn.add(metric);
      return true;
    });
    if (queries.length === 0) continue;
    shown.push(drawnPanel({ ...panel, queries }, subject.selectors[scope], helpOf(queries, subject)));
  }
  return shown;
}

/** The help of the metrics that a panel asks for: of the first that has any. */
function helpOf(queries: readonly QueryTemplate[], { factsOf }: Subject): string | undefined {
  const metrics = queries.flatMap(({ expr }) => [...metricsOf(parseTemplate(expr))]);
  return metrics.map((metric) => (factsOf(metric) ?? factsOf(familyOf(metric)))?.help).find((help) => help);
}

function fallbackSections(subject: Subject, drawn: ReadonlySet<string>): { others: Section[]; leftOut: number } {
  const { metrics, presence, factsOf, selectors } = subject;
  const families = new Set([...drawn].map(familyOf));
  const unknown = metrics.filter((name) => !families.has(familyOf(name)));
  const all = fallbackPanels(unknown, (name) => presence.own.has(name), factsOf);
  const shown = all.slice(0, FALLBACK_MAX);
  const byWord = Map.groupBy(shown, ({ family }) => /^[^_.:]+/.exec(family)?.[0] ?? family);
  const rest = [...byWord.values()].filter((panels) => panels.length < SECTION_MIN).flat();
  const sections = [...byWord]
    .filter(([, panels]) => panels.length >= SECTION_MIN)
    .map(([title, panels]) => ({ title, panels }));
  if (rest.length > 0) sections.push({ title: sections.length === 0 ? 'Metrics' : 'More metrics', panels: rest });
  const others = sections.map(({ title, panels }, i) => ({
    title,
    // a service without any known metric has these for its face
    isOpen: drawn.size === 0 && i < 3,
    panels: panels.map(({ panel, family }) => drawnPanel(panel, selectors.own, factsOf(family)?.help)),
  }));
  return { others, leftOut: all.length - shown.length };
}

function drawnPanel({ title, unit, chart, queries }: PanelTemplate, own: string, help?: string): GeneratedPanel {
  return {
    kind: 'Panel',
    spec: {
      display: help === undefined || help === '' ? { name: title } : { name: title, description: help },
      plugin: pluginOf(chart, unit),
      queries: queries.map(({ expr, legend }) => ({
        kind: 'TimeSeriesQuery',
        spec: {
          plugin: {
            kind: 'PrometheusTimeSeriesQuery',
            spec: {
              query: filled(expr, own, RATE_INTERVAL),
              ...(legend === '' ? {} : { seriesNameFormat: legend }),
            },
          },
        },
      })),
    },
  };
}

function pluginOf(chart: PanelTemplate['chart'], unit: PanelTemplate['unit']): PanelPlugin {
  switch (chart) {
    case 'lines':
      return { kind: 'TimeSeriesChart', spec: { yAxis: { format: { unit } } } };
    case 'stack':
      return {
        kind: 'TimeSeriesChart',
        spec: { yAxis: { format: { unit } }, visual: { stack: 'all', areaOpacity: 0.6 } },
      };
    case 'stat':
      return { kind: 'StatChart', spec: { calculation: 'last', format: { unit } } };
    case 'states':
      return { kind: 'StatusHistoryChart', spec: {} };
    case 'table':
      return { kind: 'Table', spec: {} };
  }
}

function dashboardOf({ name, title, project }: Subject, sections: readonly Section[]): GeneratedDashboard {
  const panels: Record<string, GeneratedPanel> = {};
  let count = 0;
  const layouts = sections.map((section): Layout => {
    const items = section.panels.map((panel, i): GridItem => {
      const key = `panel-${count++}`;
      panels[key] = panel;
      const perRow = COLUMNS / PANEL.width;
      const [x, y] = [(i % perRow) * PANEL.width, Math.floor(i / perRow) * PANEL.height];
      return { x, y, ...PANEL, content: { $ref: `#/spec/panels/${key}` } };
    });
    const display = { title: section.title, collapse: { open: section.isOpen } };
    return { kind: 'Grid', spec: { display, items } };
  });
  return {
    kind: 'Dashboard',
    metadata: { name, project },
    spec: { display: { name: title }, duration: '1h', refreshInterval: '30s', variables: [], panels, layouts },
  };
}
