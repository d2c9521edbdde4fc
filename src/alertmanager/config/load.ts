import { type Document, isAlias, isScalar, parseDocument, visit } from 'yaml';
import { quoteGo } from '../../model/labels.ts';
import { YamlError, YamlReader } from '../../yaml/reader.ts';
import { ConfigError } from '../fields/config-error.ts';
import { type Field, optional, readFields, texts, unsupported } from '../fields/field.ts';
import { Reading } from '../fields/reading.ts';
import { secretToken } from '../fields/secret.ts';
import type { InhibitRule } from '../inhibition.ts';
import { checkGlobal, defaultGlobal, type GlobalConfig, readGlobal } from '../receivers/global.ts';
import { allRoutes, type Route, type RouteConfig, routeOf } from '../route.ts';
import type { TimeInterval } from '../time-interval.ts';
import { inhibitRules } from './inhibit-rules.ts';
import { type Receiver, receivers } from './receivers.ts';
import { readRoute } from './routes.ts';
import { namedTimeIntervals } from './time-intervals.ts';

/** A tenant's configuration, checked. */
export interface AlertmanagerConfig {
  readonly resolveTimeoutMs: number;
  readonly route: Route;
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly inhibitRules: readonly InhibitRule[];
  readonly timeIntervals: ReadonlyMap<string, readonly TimeInterval[]>;
  /** Names of template files, with `*` for any part. */
  readonly templates: readonly string[];
  /** The text without secrets and comments; made when it is first asked for: it takes longer than all else. */
  shown(): string;
  /** Secrets in it, the longest ones first. */
  readonly secrets: readonly string[];
}

const FIELDS = {
  global: optional(readGlobal),
  route: optional((reading, node) => readRoute(reading, node)),
  inhibit_rules: inhibitRules,
  receivers,
  templates: texts,
  mute_time_intervals: namedTimeIntervals('mute time interval'),
  time_intervals: namedTimeIntervals('time interval'),
  tracing: unsupported('tracing', 'it belongs to the process, not to a tenant'),
  event_recorder: unsupported('event_recorder', 'it belongs to the process, not to a tenant'),
} satisfies Record<string, Field<unknown>>;

/** @throws ConfigError */
export function loadConfig(text: string): AlertmanagerConfig {
  try {
    const reading = new Reading(new YamlReader(text));
    const given = readFields(reading, reading.yaml.top, 'config.plain', FIELDS);
    reading.yaml.check();
    const global: GlobalConfig = given.global ?? defaultGlobal;
    checkGlobal(global);
    const complete = completeReceivers(given.receivers, global);
    const route = checkedRoute(given.route, new Set(complete.keys()));
    const timeIntervals = namedOnce(given.mute_time_intervals, given.time_intervals);
    checkTimeIntervals(route, timeIntervals);
    let shown: string | undefined;
    const secretStarts = new Set(reading.secrets.map(([start]) => start));
    return {
      resolveTimeoutMs: global.resolve_timeout,
      route,
      receivers: complete,
      inhibitRules: given.inhibit_rules,
      timeIntervals,
      templates: given.templates,
      shown() {
        shown ??= withoutSecrets(text, secretStarts);
        return shown;
      },
      secrets: [...reading.secretTexts].sort((a, b) => b.length - a.length),
    };
  } catch (thrown) {
    throw thrown instanceof YamlError ? new ConfigError(thrown.message) : thrown;
  }
}

function completeReceivers(
  given: readonly { readonly name: string; readonly complete: (global: GlobalConfig) => Receiver }[],
  global: GlobalConfig,
): Map<string, Receiver> {
  const complete = new Map<string, Receiver>();
  for (const receiver of given) {
    if (complete.has(receiver.name)) {
      throw new ConfigError(`notification config name ${quoteGo(receiver.name)} is not unique`);
    }
    complete.set(receiver.name, receiver.complete(global));
  }
  return complete;
}

function checkedRoute(route: RouteConfig | undefined, names: ReadonlySet<string>): Route {
  if (route === undefined) throw new ConfigError('no route provided in config');
  const problem =
    route.receiver === undefined
      ? 'root route must specify a default receiver'
      : route.matchers.length > 0
        ? 'root route must not have any matchers'
        : route.muteTimeIntervals.length > 0
          ? 'root route must not have any mute time intervals'
          : route.activeTimeIntervals.length > 0
            ? 'root route must not have any active time intervals'
            : undefined;
  if (problem !== undefined) throw new ConfigError(problem);
  checkReceivers(route, names);
  if (route.continues) throw new ConfigError('cannot have continue in root route');
  return routeOf(route);
}

function checkReceivers(route: RouteConfig, names: ReadonlySet<string>): void {
  for (const child of route.routes) checkReceivers(child, names);
  if (route.receiver !== undefined && !names.has(route.receiver)) {
    throw new ConfigError(`undefined receiver ${quoteGo(route.receiver)} used in route`);
  }
}

type Named = readonly { readonly name: string; readonly intervals: readonly TimeInterval[] }[];

function namedOnce(mute: Named, others: Named): Map<string, readonly TimeInterval[]> {
  const intervals = new Map<string, readonly TimeInterval[]>();
  for (const [list, what] of [
    [mute, 'mute time interval'],
    [others, 'time interval'],
  ] as const) {
    for (const { name, intervals: given } of list) {
      if (intervals.has(name)) throw new ConfigError(`${what} ${quoteGo(name)} is not unique`);
      intervals.set(name, given);
    }
  }
  return intervals;
}

function checkTimeIntervals(root: Route, intervals: ReadonlyMap<string, unknown>): void {
  for (const { activeTimeIntervals, muteTimeIntervals } of allRoutes(root)) {
    const missing = [...activeTimeIntervals, ...muteTimeIntervals].find((name) => !intervals.has(name));
    if (missing !== undefined) throw new ConfigError(`undefined time interval ${quoteGo(missing)} used in route`);
  }
}

/** Comments go, too: who comments out a setting leaves its secret in it. */
function withoutSecrets(text: string, starts: ReadonlySet<number>): string {
  const document: Document = parseDocument(text, { uniqueKeys: false });
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) return;
      node.comment = null;
      node.commentBefore = null;
      if (!isScalar(node) || !node.range || !starts.has(node.range[0]) || node.value === null) return;
      node.value = secretToken;
      node.type = 'PLAIN';
      delete node.source;
    },
  });
  document.comment = null;
  document.commentBefore = null;
  return document.toString({ lineWidth: 0 });
}
