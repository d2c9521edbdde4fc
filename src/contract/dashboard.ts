// Dashboards in the shape of Perses' model, as processes keep them and pages draw them. What stands in them beside these fields is
// kept as it came.

/** A dashboard that is kept, sent in or shown. */
export interface Dashboard {
  readonly kind: 'Dashboard';
  /** The folder is that of the list, empty or absent: none. */
  readonly metadata: { readonly name: string; readonly project: string; readonly folder?: string };
  readonly spec: DashboardSpec;
}

export interface DashboardSpec {
  readonly display: { readonly name: string; readonly description?: string };
  /** The time range that it opens with, `1h`. */
  readonly duration: string;
  readonly refreshInterval?: string;
  readonly variables: readonly Variable[];
  readonly panels: Readonly<Record<string, Panel>>;
  readonly layouts: readonly Layout[];
  /** Between two samples, for `$__rate_interval`; absent: the default of the server. Not of Perses. */
  readonly sampleInterval?: string;
  readonly tags?: readonly string[];
  readonly annotations?: readonly Annotation[];
}

/** Times that charts mark: where a query has values (`PrometheusPromQLAnnotation`), or events of the tenant (`EventAnnotation`). */
export interface Annotation {
  readonly display: { readonly name: string; readonly hidden?: boolean };
  readonly plugin: Plugin;
}

export interface Panel {
  readonly kind: 'Panel';
  readonly spec: {
    readonly display: { readonly name: string; readonly description?: string };
    readonly plugin: Plugin;
    readonly queries?: readonly PanelQuery[];
  };
}

/** Some kind of panel, query or variable; of a kind that is not known the specification is kept. */
export interface Plugin {
  readonly kind: string;
  readonly spec?: Readonly<Record<string, unknown>>;
}

export interface PanelQuery {
  readonly kind: string;
  readonly spec: {
    readonly plugin: {
      readonly kind: string;
      /** The specification of a `PrometheusTimeSeriesQuery`, with `$__rate_interval` where a range belongs. */
      readonly spec: { readonly query: string; readonly seriesNameFormat?: string };
    };
  };
}

export interface Layout {
  readonly kind: 'Grid';
  readonly spec: {
    readonly display?: { readonly title: string; readonly collapse?: { readonly open: boolean } };
    readonly items: readonly GridItem[];
    /** The section is drawn once for each chosen value of this variable. */
    readonly repeatVariable?: string;
  };
}

/** A place on a grid of 24 columns. */
export interface GridItem {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** `#/spec/panels/KEY` */
  readonly content: { readonly $ref: string };
  /** Drawn once for each chosen value of a variable. Not of Perses. */
  readonly repeat?: PanelRepeat;
}

export interface PanelRepeat {
  readonly variable: string;
  /** Beside each other, or below. */
  readonly direction: 'h' | 'v';
  /** Panels beside each other. */
  readonly perRow?: number;
}

export type Variable = TextVariable | ListVariable;

export interface TextVariable {
  readonly kind: 'TextVariable';
  readonly spec: {
    readonly name: string;
    readonly value: string;
    readonly constant?: boolean;
    readonly display?: VariableDisplay;
  };
}

export interface ListVariable {
  readonly kind: 'ListVariable';
  readonly spec: {
    readonly name: string;
    readonly display?: VariableDisplay;
    readonly defaultValue?: string | readonly string[];
    readonly allowAllValue?: boolean;
    readonly allowMultiple?: boolean;
    /** Put in where all are chosen, in place of a list of them. */
    readonly customAllValue?: string;
    /** Values become what its groups catch; those that do not fit are left out. */
    readonly capturingRegexp?: string;
    readonly sort?: string;
    readonly plugin: Plugin;
  };
}

interface VariableDisplay {
  readonly name?: string;
  readonly description?: string;
  readonly hidden?: boolean;
}

/** A version of a kept dashboard. */
export interface DashboardVersion {
  /** From 1; a change names the one that it replaces. */
  readonly number: number;
  readonly timeMs: number;
  /** Empty where nobody has to say who asks. */
  readonly user: string;
  readonly deleted: boolean;
  readonly bytes: number;
}

/** `GET /api/v1/dashboards/:id` */
export interface KeptDashboard {
  readonly id: string;
  readonly version: DashboardVersion;
  readonly dashboard: Dashboard;
}

/** A row of `GET /api/v1/dashboards`. */
export interface DashboardSummary {
  readonly id: string;
  readonly version: DashboardVersion;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly string[];
  /** Empty: none. */
  readonly folder: string;
  readonly panels: number;
}
