import { fetchData, send } from '../api/http.ts';
import type { LabelSet } from '../model/labels.ts';
import type { TextVersion } from '../parts/text-versions.tsx';

// The configuration API of rules, in YAML, and what tries rules.

const CONFIG_PATH = '/config/v1/rules';
export const PREVIEW_PATH = '/api/v1/rule_preview';
export const TEST_PATH = '/api/v1/rule_test';

export interface AlertChange {
  readonly time: number;
  readonly state: 'pending' | 'firing' | 'inactive';
}
export interface PreviewedRule {
  readonly type: 'alerting' | 'recording';
  readonly name: string;
  readonly failures: number;
  readonly lastError?: string;
  readonly series?: number;
  readonly samples?: number;
  readonly omittedChanges?: number;
  readonly alerts?: readonly { readonly labels: LabelSet; readonly changes: readonly AlertChange[] }[];
}
export interface Preview {
  readonly group: string;
  readonly interval: number;
  readonly evaluations: number;
  /** The first evaluation, Unix s; absent: there is none. */
  readonly first?: number;
  readonly rules: readonly PreviewedRule[];
}

export interface TestVerdict {
  readonly tests: readonly { readonly name: string; readonly failures: readonly string[] }[];
}

function groupPath(namespace: string, group?: string): string {
  const rest = group === undefined ? '' : `/${encodeURIComponent(group)}`;
  return `${CONFIG_PATH}/${encodeURIComponent(namespace)}${rest}`;
}

/** A group as it is configured, in YAML. */
export async function fetchGroup(
  tenant: string,
  namespace: string,
  group: string,
  version: number | undefined,
  signal: AbortSignal,
): Promise<string> {
  const path = `${groupPath(namespace, group)}${version === undefined ? '' : `/versions/${version}`}`;
  return (await send({ path, tenant }, signal)).text();
}

/** The newest first. */
export function fetchVersions(
  tenant: string,
  namespace: string,
  group: string,
  signal: AbortSignal,
): Promise<readonly TextVersion[]> {
  return fetchData({ path: `${groupPath(namespace, group)}/versions`, tenant }, signal);
}

/** Alerts that the group would begin anew; throws with the verdicts where it is wrong. */
export function tryGroup(
  tenant: string,
  namespace: string,
  text: string,
  signal?: AbortSignal,
): Promise<{ readonly reset: readonly unknown[] }> {
  const params = new URLSearchParams({ dry_run: 'true' });
  return fetchData({ path: groupPath(namespace), params, method: 'POST', tenant, text }, signal);
}

/** @param replaced the version that it was made from; 0: there is none */
export async function putGroup(
  tenant: string,
  namespace: string,
  text: string,
  replaced: number | undefined,
): Promise<void> {
  const params = new URLSearchParams(replaced === undefined ? {} : { version: String(replaced) });
  await send({ path: groupPath(namespace), params, method: 'POST', tenant, text });
}

export async function removeGroup(tenant: string, namespace: string, group: string): Promise<void> {
  await send({ path: groupPath(namespace, group), method: 'DELETE', tenant });
}

export function previewGroup(
  tenant: string,
  ask: { readonly namespace: string; readonly group: string; readonly startMs: number; readonly endMs: number },
  signal: AbortSignal,
): Promise<Preview> {
  const form = new URLSearchParams({
    group: ask.group,
    namespace: ask.namespace,
    start: String(ask.startMs / 1000),
    end: String(ask.endMs / 1000),
    fit: 'true',
  });
  return fetchData({ path: PREVIEW_PATH, method: 'POST', tenant, form }, signal);
}

/** Runs unit tests in promtool's format over a group. */
export function testGroup(tenant: string, group: string, tests: string): Promise<TestVerdict> {
  const form = new URLSearchParams({ group, tests });
  return fetchData({ path: TEST_PATH, method: 'POST', tenant, form });
}
