/** The kind of a panel of Grafana's that cannot be drawn; its specification is the panel as it came. */
export const GRAFANA_PANEL = 'GrafanaPanel';
/** The kind of a query of Grafana's that is hidden, or of another data source. */
export const GRAFANA_TARGET = 'GrafanaTarget';
