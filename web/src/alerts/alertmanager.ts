import { fetchData, send } from '../api/http.ts';
import type { LabelSet } from '../model/labels.ts';
import { type AlertMatcher, printMatcher } from '../model/matchers.ts';

// The Alertmanager's own API, version 2.

export interface Silence {
  readonly id: string;
  readonly status: { readonly state: 'active' | 'pending' | 'expired' };
  readonly matchers: readonly (Omit<AlertMatcher, 'isEqual'> & { readonly isEqual?: boolean })[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly createdBy: string;
  readonly comment: string;
}

export interface HeldAlert {
  readonly fingerprint: string;
  readonly labels: LabelSet;
  readonly status: {
    readonly state: string;
    readonly silencedBy: readonly string[];
    readonly inhibitedBy: readonly string[];
  };
  readonly receivers?: readonly { readonly name: string }[];
  readonly startsAt: string;
}

const BASE = '/alertmanager/api/v2';
export const SILENCES_PATH = `${BASE}/silences`;

export async function fetchSilences(tenant: string, signal: AbortSignal): Promise<Silence[]> {
  return (await (await send({ path: SILENCES_PATH, tenant }, signal)).json()) as Silence[];
}

/** Alerts that fit, silenced and inhibited ones too. */
export async function fetchAlerts(
  tenant: string,
  matchers: readonly AlertMatcher[],
  signal: AbortSignal,
): Promise<HeldAlert[]> {
  const params = new URLSearchParams(matchers.map((matcher) => ['filter', printMatcher(matcher)]));
  return (await (await send({ path: `${BASE}/alerts`, params, tenant }, signal)).json()) as HeldAlert[];
}

/** The last time that an integration was told of a group. */
export interface Notification {
  readonly receiver: string;
  readonly integration: string;
  readonly index: number;
  readonly sentAt: string;
  /** Fingerprints. */
  readonly firing: readonly string[];
  readonly resolved: readonly string[];
}

export const ROUTES_PATH = '/config/v1/alerts/routes';

export function fetchNotifications(tenant: string, signal: AbortSignal): Promise<readonly Notification[]> {
  return fetchData({ path: '/config/v1/alerts/notifications', tenant }, signal);
}

export interface NewSilence {
  readonly id?: string;
  readonly matchers: Silence['matchers'];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly createdBy: string;
  readonly comment: string;
}

export async function setSilence(tenant: string, json: NewSilence): Promise<string> {
  const response = await send({ path: SILENCES_PATH, method: 'POST', tenant, json });
  return ((await response.json()) as { silenceID: string }).silenceID;
}

export async function expireSilence(tenant: string, id: string): Promise<void> {
  await send({ path: `${BASE}/silence/${encodeURIComponent(id)}`, method: 'DELETE', tenant });
}

/** The same for the same labels, in whatever order they come. */
export function labelsKey(labels: LabelSet): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
