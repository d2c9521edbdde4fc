import type { Dashboard, DashboardSpec, Panel, PanelQuery } from '../contract/dashboard.ts';

/** A dashboard that is made here: its panels are of kinds that are drawn. */
export interface GeneratedDashboard extends Dashboard {
  readonly spec: DashboardSpec & { readonly panels: Readonly<Record<string, GeneratedPanel>> };
}

export interface GeneratedPanel extends Panel {
  readonly spec: Panel['spec'] & { readonly plugin: PanelPlugin; readonly queries: readonly PanelQuery[] };
}

export type PanelPlugin =
  | {
      readonly kind: 'TimeSeriesChart';
      readonly spec: {
        readonly yAxis: { readonly format: { readonly unit: Unit } };
        readonly visual?: { readonly stack: 'all'; readonly areaOpacity: number };
      };
    }
  | {
      readonly kind: 'StatChart';
      readonly spec: { readonly calculation: 'last'; readonly format: { readonly unit: Unit } };
    }
  | { readonly kind: 'HeatMapChart'; readonly spec: { readonly yAxisFormat: { readonly unit: Unit } } }
  | { readonly kind: 'StatusHistoryChart'; readonly spec: Readonly<Record<string, never>> }
  | { readonly kind: 'Table'; readonly spec: Readonly<Record<string, never>> };

/** Units as Perses names them. */
export type Unit =
  | 'decimal'
  | 'percent-decimal'
  | 'percent'
  | 'seconds'
  | 'milliseconds'
  | 'bytes'
  | 'bytes/sec'
  | 'bits/sec'
  | 'requests/sec'
  | 'ops/sec'
  | 'rows/sec'
  | 'messages/sec'
  | 'packets/sec'
  | 'reads/sec'
  | 'writes/sec'
  | 'counts/sec'
  | 'celsius'
  | 'volts'
  | 'amperes'
  | 'watts'
  | 'hertz';
