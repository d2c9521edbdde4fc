import type { Dashboard, DashboardVersion, KeptDashboard } from '../../../src/contract/dashboard.ts';
import { fetchData } from '../api/http.ts';

export const DASHBOARDS_PATH = '/api/v1/dashboards';

export interface Saved {
  readonly id: string;
  readonly version: DashboardVersion;
  readonly notes: readonly string[];
}

export function dashboardPath(id: string): string {
  return `${DASHBOARDS_PATH}/${encodeURIComponent(id)}`;
}

/** Keeps a new one. @param json a dashboard, of Perses or Grafana */
export function addDashboard(tenant: string, json: unknown): Promise<Saved> {
  return fetchData<Saved>({ path: DASHBOARDS_PATH, method: 'POST', tenant, json });
}

/** The dashboard that would be kept of it, and notes. */
export function tryDashboard(tenant: string, json: unknown): Promise<{ dashboard: Dashboard; notes: string[] }> {
  const params = new URLSearchParams({ dry_run: 'true' });
  return fetchData({ path: DASHBOARDS_PATH, params, method: 'POST', tenant, json });
}

/** Puts a changed one in place of the version that it was made from. */
export function saveDashboard(tenant: string, id: string, replaced: number, json: Dashboard): Promise<Saved> {
  const params = new URLSearchParams({ version: String(replaced) });
  return fetchData<Saved>({ path: dashboardPath(id), params, method: 'PUT', tenant, json });
}

export async function removeDashboard(tenant: string, id: string, version: number): Promise<void> {
  const params = new URLSearchParams({ version: String(version) });
  await fetchData({ path: dashboardPath(id), params, method: 'DELETE', tenant });
}

export function fetchDashboard(
  tenant: string,
  id: string,
  version: number | undefined,
  signal: AbortSignal,
): Promise<KeptDashboard> {
  const params = new URLSearchParams(version === undefined ? {} : { version: String(version) });
  return fetchData<KeptDashboard>({ path: dashboardPath(id), params, tenant }, signal);
}
