import type { QueryRunner } from '../contract/query.ts';
import type { Labels } from '../model/labels.ts';
import { labelsOfPairs } from '../model/service-id.ts';
import type { ServiceDeployment } from './deployment.ts';
import { imageName, imageVersion } from './image.ts';
import { isForeignBuildInfo, isSidecar } from './known-programs.ts';
import { versionName } from './version-track.ts';

const MINUTE_MS = 60_000;
/** Instances of a side that are looked at. */
export const INSTANCES_MAX = 100;

/** Instances of a service (values of the label `instance`) that run the new version, and those that run another. */
export interface Sides {
  readonly newer: readonly string[];
  readonly older: readonly string[];
}

/** Matchers of a service's series, to be put between braces. */
export interface SideSelectors {
  readonly own: string;
  readonly pods: string;
}

export interface SidesOptions {
  readonly runner: QueryRunner;
  readonly tenant: string;
  readonly selectors: SideSelectors;
  readonly deployment: ServiceDeployment;
}

/**
 * Tells instances of the new version of a deployment from the others, as of one moment: by the evidence that the deployment was
 * found by; where that says nothing of instances, by whether they started before it began.
 *
 * @throws AppError
 */
export async function sidesAt(options: SidesOptions, timeMs: number, signal: AbortSignal): Promise<Sides> {
  const rows = async (expr: string): Promise<{ readonly labels: Labels; readonly value: number }[]> => {
    const { value } = await options.runner.instant(options.tenant, { expr, timeMs }, { signal });
    if (value.type !== 'vector') return [];
    return value.pairs.map((pairs, i) => ({ labels: labelsOfPairs(pairs), value: value.values[i]! }));
  };
  const { own, pods } = options.selectors;
  const { deployment } = options;
  const { to, service, beginMs } = deployment;
  switch (deployment.evidence) {
    case 'target-info': {
      const found = await rows(`group by (instance, service_version) (target_info{${own},service_version!=""})`);
      const sides = split(found, 'instance', ({ labels }) => labels.get('service_version') === to);
      if (isBoth(sides)) return sides;
      break;
    }
    case 'build-info': {
      const selector = `{__name__=~".+_build_info",${own}}`;
      const found = (await rows(`group by (__name__, instance, version, revision, commit) (${selector})`)).filter(
        ({ labels }) => !isForeignBuildInfo(labels.get('__name__'), service.name),
      );
      const isNewer = ({ labels }: { labels: Labels }) => buildVersion(labels) === to;
      const metrics = new Set(found.filter(isNewer).map(({ labels }) => labels.get('__name__')));
      const ofMetrics = found.filter(({ labels }) => metrics.has(labels.get('__name__')));
      const sides = split(ofMetrics, 'instance', isNewer);
      if (isBoth(sides)) return sides;
      break;
    }
    case 'image': {
      const found = (
        await rows(`group by (pod, container, image, image_spec, image_id) (kube_pod_container_info{${pods}})`)
      ).filter(({ labels }) => !isSidecar(labels.get('container'), containerImage(labels).name, service.name));
      const isNewer = ({ labels }: { labels: Labels }) =>
        imageVersion(containerImage(labels), labels.get('image_id')) === to;
      const containers = new Set(found.filter(isNewer).map(({ labels }) => labels.get('container')));
      const ofContainers = found.filter(({ labels }) => containers.has(labels.get('container')));
      const sides = await inInstances(split(ofContainers, 'pod', isNewer), own, rows);
      if (isBoth(sides)) return sides;
      break;
    }
    case 'replica-set': {
      const found = await rows(`group by (pod, owner_name) (kube_pod_owner{${pods},owner_kind="ReplicaSet"})`);
      const sides = await inInstances(
        split(found, 'pod', ({ labels }) => labels.get('owner_name') === to),
        own,
        rows,
      );
      if (isBoth(sides)) return sides;
      break;
    }
  }
  const starts = await rows(`min by (instance) (process_start_time_seconds{${own}})`);
  return split(starts, 'instance', ({ value }) => value * 1000 >= beginMs - MINUTE_MS);
}

type Row = { readonly labels: Labels; readonly value: number };

/** Parts rows by the value of a label; a value that is on both sides is on none. */
function split(rows: readonly Row[], label: string, isNewer: (row: Row) => boolean): Sides {
  const newer = new Set<string>();
  const older = new Set<string>();
  for (const row of rows) {
    const name = row.labels.get(label);
    if (name !== '') (isNewer(row) ? newer : older).add(name);
  }
  const only = (side: ReadonlySet<string>, other: ReadonlySet<string>) =>
    [...side].filter((name) => !other.has(name)).sort();
  return { newer: only(newer, older), older: only(older, newer) };
}

/** Instances of pods, where the service's own series name their pod. */
async function inInstances(sides: Sides, own: string, rows: (expr: string) => Promise<readonly Row[]>): Promise<Sides> {
  if (!isBoth(sides)) return sides;
  const [newer, older] = [new Set(sides.newer), new Set(sides.older)];
  const found = (await rows(`group by (instance, pod) (up{${own},pod!=""})`)).filter(
    ({ labels }) => newer.has(labels.get('pod')) || older.has(labels.get('pod')),
  );
  return split(found, 'instance', ({ labels }) => newer.has(labels.get('pod')));
}

export function isBoth({ newer, older }: Sides): boolean {
  return newer.length > 0 && older.length > 0;
}

function buildVersion(labels: Labels): string {
  return versionName({ version: labels.get('version'), revision: labels.get('revision') || labels.get('commit') });
}

function containerImage(labels: Labels) {
  return imageName(labels.get('image_spec') || labels.get('image'));
}
