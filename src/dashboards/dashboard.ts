/** A dashboard in the shape of Perses' model: the part of it that is drawn here. */
export interface Dashboard {
  readonly kind: 'Dashboard';
  readonly metadata: { readonly name: string; readonly project: string };
  readonly spec: {
    readonly display: { readonly name: string; readonly description?: string };
    /** The time range that it opens with. */
    readonly duration: string;
    readonly refreshInterval?: string;
    readonly variables: readonly unknown[];
    readonly panels: Readonly<Record<string, Panel>>;
    readonly layouts: readonly Layout[];
  };
}

export interface Panel {
  readonly kind: 'Panel';
  readonly spec: {
    readonly display: { readonly name: string; readonly description?: string };
    readonly plugin: PanelPlugin;
    readonly queries: readonly PanelQuery[];
  };
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

export interface PanelQuery {
  readonly kind: 'TimeSeriesQuery';
  readonly spec: {
    readonly plugin: {
      readonly kind: 'PrometheusTimeSeriesQuery';
      /** With `$__rate_interval` where a range belongs. */
      readonly spec: { readonly query: string; readonly seriesNameFormat?: string };
    };
  };
}

export interface Layout {
  readonly kind: 'Grid';
  readonly spec: {
    readonly display: { readonly title: string; readonly collapse: { readonly open: boolean } };
    readonly items: readonly GridItem[];
  };
}

/** A place on a grid of 24 columns. */
export interface GridItem {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly content: { readonly $ref: string };
}

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
