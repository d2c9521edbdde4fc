import { type LabelSet, labelsText } from './label-set.ts';
import { type Matchers, matchersText, matchesAll } from './matcher.ts';

/** A route as a configuration gives it; what is undefined is its parent's. */
export interface RouteConfig {
  readonly receiver: string | undefined;
  readonly groupBy: readonly string[] | undefined;
  readonly groupsByAll: boolean;
  /** Sorted. */
  readonly matchers: Matchers;
  readonly continues: boolean;
  readonly groupWaitMs: number | undefined;
  readonly groupIntervalMs: number | undefined;
  readonly repeatIntervalMs: number | undefined;
  readonly muteTimeIntervals: readonly string[];
  readonly activeTimeIntervals: readonly string[];
  /** Values are templates. */
  readonly labels: LabelSet;
  readonly routes: readonly RouteConfig[];
}

/** A node of the routing tree, with what it has from its parents. */
export interface Route {
  /** Matchers along the path: the first part of a group's key. */
  readonly key: string;
  /** Unlike the key, no other route's. */
  readonly id: string;
  readonly receiver: string;
  /** Undefined: by all labels. */
  readonly groupBy: ReadonlySet<string> | undefined;
  readonly matchers: Matchers;
  readonly continues: boolean;
  readonly groupWaitMs: number;
  readonly groupIntervalMs: number;
  readonly repeatIntervalMs: number;
  readonly muteTimeIntervals: readonly string[];
  readonly activeTimeIntervals: readonly string[];
  readonly labels: LabelSet;
  readonly routes: readonly Route[];
}

const DEFAULTS = {
  receiver: '',
  groupBy: new Set<string>() as ReadonlySet<string> | undefined,
  groupWaitMs: 30_000,
  groupIntervalMs: 5 * 60_000,
  repeatIntervalMs: 4 * 3_600_000,
  labels: new Map() as LabelSet,
};

type Inherited = typeof DEFAULTS & { readonly key?: string; readonly id?: string };

export function routeOf(config: RouteConfig, parent: Inherited = DEFAULTS, index = 0): Route {
  const own = matchersText(config.matchers);
  const groupBy =
    config.groupBy !== undefined ? new Set(config.groupBy) : config.groupsByAll ? undefined : parent.groupBy;
  const options = {
    key: parent.key === undefined ? own : `${parent.key}/${own}`,
    id: parent.id === undefined ? own : `${parent.id}/${own}/${index}`,
    receiver: config.receiver ?? parent.receiver,
    groupBy,
    groupWaitMs: config.groupWaitMs ?? parent.groupWaitMs,
    groupIntervalMs: config.groupIntervalMs ?? parent.groupIntervalMs,
    repeatIntervalMs: config.repeatIntervalMs ?? parent.repeatIntervalMs,
    labels: config.labels.size === 0 ? parent.labels : new Map([...parent.labels, ...config.labels]),
  };
  return {
    ...options,
    matchers: config.matchers,
    continues: config.continues,
    muteTimeIntervals: config.muteTimeIntervals,
    activeTimeIntervals: config.activeTimeIntervals,
    routes: config.routes.map((child, i) => routeOf(child, options, i)),
  };
}

/** Routes that get an alert: depth first, siblings after the first only where it continues; without any, the node itself. */
export function matchingRoutes(route: Route, labels: LabelSet): Route[] {
  if (!matchesAll(route.matchers, labels)) return [];
  const found: Route[] = [];
  for (const child of route.routes) {
    const below = matchingRoutes(child, labels);
    found.push(...below);
    if (below.length > 0 && !child.continues) break;
  }
  return found.length > 0 ? found : [route];
}

export function groupLabelsOf(route: Route, labels: LabelSet): LabelSet {
  const { groupBy } = route;
  return groupBy === undefined ? labels : new Map([...labels].filter(([name]) => groupBy.has(name)));
}

export function groupKeyOf(route: Route, groupLabels: LabelSet): string {
  return `${route.key}:${labelsText(groupLabels)}`;
}

export function* allRoutes(route: Route): Generator<Route> {
  yield route;
  for (const child of route.routes) yield* allRoutes(child);
}
