import type { Unit } from '../model/units.ts';

// Dashboards in the shape of Perses' model, as far as they are drawn here: `src/dashboards/dashboard.ts`.

export interface Dashboard {
  readonly kind: 'Dashboard';
  readonly spec: {
    readonly display?: { readonly name?: string; readonly description?: string };
    readonly panels: Readonly<Record<string, PanelModel>>;
    readonly layouts: readonly GridLayout[];
  };
}

export interface PanelModel {
  readonly kind: 'Panel';
  readonly spec: {
    readonly display: { readonly name: string; readonly description?: string };
    readonly plugin: { readonly kind: string; readonly spec?: Readonly<Record<string, unknown>> };
    readonly queries?: readonly {
      readonly spec: {
        readonly plugin: {
          readonly kind: string;
          readonly spec: { readonly query: string; readonly seriesNameFormat?: string };
        };
      };
    }[];
  };
}

export interface GridLayout {
  readonly kind: 'Grid';
  readonly spec: {
    readonly display?: { readonly title: string; readonly collapse?: { readonly open: boolean } };
    readonly items: readonly {
      readonly x: number;
      readonly y: number;
      readonly width: number;
      readonly height: number;
      readonly content: { readonly $ref: string };
    }[];
  };
}

const UNITS: Readonly<Record<string, Unit>> = {
  'percent-decimal': 'percent',
  seconds: 'seconds',
  bytes: 'bytes',
  'bytes/sec': 'bytes/s',
  celsius: 'celsius',
  hertz: 'hertz',
};

/** A unit as Perses names it; of those that are not known, the number. */
export function unitNamed(name: string | undefined): Unit {
  return UNITS[name ?? ''] ?? (name?.endsWith('/sec') === true ? 'per-second' : 'number');
}

/** The unit of a panel, wherever its kind has it. */
export function unitOfPanel({ spec: { plugin } }: PanelModel): Unit {
  const spec = (plugin.spec ?? {}) as {
    yAxis?: { format?: { unit?: string } };
    format?: { unit?: string };
    yAxisFormat?: { unit?: string };
  };
  return unitNamed(spec.yAxis?.format?.unit ?? spec.format?.unit ?? spec.yAxisFormat?.unit);
}

export function isStacked({ spec: { plugin } }: PanelModel): boolean {
  return (plugin.spec as { visual?: { stack?: string } } | undefined)?.visual?.stack === 'all';
}

/** A query with its range: four samples, and no step that misses one. */
export function queryFor(text: string, intervalMs: number, stepMs: number): string {
  const seconds = Math.ceil(Math.max(4 * intervalMs, stepMs + intervalMs) / 1000);
  return text.replaceAll('$__rate_interval', () => `${seconds}s`);
}

/** `{{code}} of {{method}}` → the values of a series. */
export function namedBy(format: string | undefined, labels: Readonly<Record<string, string>>): string | undefined {
  if (format === undefined || format === '') return undefined;
  return format.replaceAll(/\{\{\s*([\w.]+)\s*\}\}/g, (_, name: string) => labels[name] ?? '');
}

/** The panel that an item of a grid names. */
export function panelAt(dashboard: Dashboard, ref: string): PanelModel | undefined {
  const key = ref.replace(/^#\/spec\/panels\//, '');
  return Object.hasOwn(dashboard.spec.panels, key) ? dashboard.spec.panels[key] : undefined;
}
