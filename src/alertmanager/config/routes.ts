import type { Node } from 'yaml';
import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import {
  type Field,
  flag,
  listOf,
  optionalDuration,
  optionalText,
  readFields,
  textMap,
  texts,
  type Values,
} from '../fields/field.ts';
import type { Reading } from '../fields/reading.ts';
import { sortedMatchers } from '../matcher.ts';
import { isLabelName } from '../matcher-parser.ts';
import type { RouteConfig } from '../route.ts';
import { matcherList, matchMap } from './matchers.ts';

const routeDepthMax = 64;

const groupBy: Field<readonly string[] | undefined> = {
  initial: undefined,
  read: ({ yaml }, node) => (yaml.isNothing(node) ? undefined : yaml.strings(node)),
};

function fieldsOf(depth: number) {
  return {
    receiver: optionalText,
    group_by: groupBy,
    match: matchMap('='),
    match_re: matchMap('=~'),
    matchers: matcherList,
    mute_time_intervals: texts,
    active_time_intervals: texts,
    continue: flag(),
    routes: listOf((reading, node) => readRoute(reading, node, depth + 1), 'config.Route'),
    group_wait: optionalDuration,
    group_interval: optionalDuration,
    repeat_interval: optionalDuration,
    labels: textMap,
  } satisfies Record<string, Field<unknown>>;
}

/** @throws ConfigError */
export function readRoute(reading: Reading, node: Node | null, depth = 0): RouteConfig {
  if (depth > routeDepthMax) {
    throw new ConfigError(
      `routes inside each other: limit of ${routeDepthMax} exceeded (alertmanager_route_depth_max)`,
    );
  }
  const given: Values<ReturnType<typeof fieldsOf>> = readFields(reading, node, 'config.plain', fieldsOf(depth), check);
  const all = given.group_by?.includes('...') ?? false;
  return {
    receiver: given.receiver,
    groupBy: all ? undefined : given.group_by,
    groupsByAll: all,
    matchers: sortedMatchers([...given.match, ...given.match_re, ...given.matchers]),
    continues: given.continue,
    groupWaitMs: given.group_wait,
    groupIntervalMs: given.group_interval,
    repeatIntervalMs: given.repeat_interval,
    muteTimeIntervals: given.mute_time_intervals,
    activeTimeIntervals: given.active_time_intervals,
    labels: given.labels,
    routes: given.routes,
  };
}

interface Checked {
  readonly labels: ReadonlyMap<string, string>;
  readonly group_by: readonly string[] | undefined;
  readonly group_interval: number | undefined;
  readonly repeat_interval: number | undefined;
}

function check(given: Checked): void {
  for (const name of given.labels.keys()) {
    if (!isLabelName(name)) throw new ConfigError(`invalid label name ${quoteGo(name)} in route labels`);
  }
  const names = (given.group_by ?? []).filter((name) => name !== '...');
  for (const name of names) {
    if (!isLabelName(name)) throw new ConfigError(`invalid label name ${quoteGo(name)} in group_by list`);
  }
  if (names.length > 0 && names.length < given.group_by!.length) {
    throw new ConfigError('cannot have wildcard group_by (`...`) and other labels at the same time');
  }
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new ConfigError(`duplicated label ${quoteGo(twice)} in group_by`);
  if (given.group_interval === 0) throw new ConfigError('group_interval cannot be zero');
  if (given.repeat_interval === 0) throw new ConfigError('repeat_interval cannot be zero');
}
