import { parse } from 'yaml';
import { quoteGo } from '../../model/labels.ts';
import type { NotificationData } from '../../template/alertmanager.ts';
import { ConfigError } from '../fields/config-error.ts';
import { type Field, goDuration, integer, noFile, parseUrl, secret, type Tree, tree } from '../fields/field.ts';
import { sortedLabels } from '../label-set.ts';
import { notificationData } from './data.ts';
import { exactlyOne, receiverKind } from './kind.ts';
import { expander, failed, goTime, type Notification, post } from './notification.ts';

/** An address that may be a template. */
const templateUrl: Field<string> = {
  initial: '',
  read(reading, node) {
    const given = secret.read(reading, node);
    if (given === '' || given.includes('{{')) return given;
    try {
      parseUrl(given, '<secret>');
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown;
      throw new ConfigError(`invalid URL: ${thrown.message}`);
    }
    return given;
  },
};

/** A POST of JSON: version 4 of the Alertmanager's, or a tree of templates of one's own. */
export const webhook = receiverKind({
  kind: 'webhook',
  type: 'webhook',
  sendsResolved: true,
  whenMissing: 'webhook',
  fields: {
    url: templateUrl,
    url_file: noFile('url_file'),
    max_alerts: integer(),
    timeout: goDuration(),
    payload: tree,
  },
  check(values) {
    exactlyOne(values, 'url');
    if (values.max_alerts < 0)
      throw new ConfigError(`max_alerts must not be negative: ${quoteGo(String(values.max_alerts))}`);
  },
  complete: (values) => values,
  async notify(config, given) {
    const { shown, truncated } = truncatedAlerts(given, config.max_alerts);
    const expand = expander(shown);
    const url = expand(config.url);
    if (url === '') return failed('webhook URL is empty after templating', { retries: false });
    const message = { ...dataJson(shown.data), version: '4', groupKey: given.groupKey, truncatedAlerts: truncated };
    const body = config.payload === undefined ? message : expandedTree(config.payload, expand);
    return post(shown, { url, body, config: config.http, timeoutMs: config.timeout });
  },
});

/** With the first alerts only. */
export function truncatedAlerts(
  notification: Notification,
  alertsMax: number,
): { readonly shown: Notification; readonly truncated: number } {
  const { alerts } = notification.data;
  if (alertsMax === 0 || alerts.length <= alertsMax) return { shown: notification, truncated: 0 };
  const data = notificationData(notification.data, alerts.slice(0, alertsMax));
  return { shown: { ...notification, data }, truncated: alerts.length - alertsMax };
}

/** The data of templates as JSON, in Go's order. */
export function dataJson(data: NotificationData): Readonly<Record<string, unknown>> {
  const labels = (map: ReadonlyMap<string, string>) => Object.fromEntries(sortedLabels(map));
  return {
    receiver: data.receiver.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&'),
    status: data.status,
    alerts: data.alerts.map((alert) => ({
      status: alert.status,
      labels: labels(alert.labels),
      annotations: labels(alert.annotations),
      startsAt: goTime(alert.startsAtMs),
      endsAt: goTime(alert.endsAtMs),
      generatorURL: alert.generatorUrl,
      fingerprint: alert.fingerprint,
    })),
    notification_reason: data.notificationReason,
    groupLabels: labels(data.groupLabels),
    commonLabels: labels(data.commonLabels),
    commonAnnotations: labels(data.commonAnnotations),
    routeLabels: labels(data.routeLabels),
    externalURL: data.externalUrl,
  };
}

/** Texts that come out as YAML of something else become that: numbers, lists, mappings. */
export function expandedTree(value: Tree, expand: (template: string) => string): unknown {
  if (typeof value === 'string') {
    const expanded = expand(value);
    const inline = inlineValue(expanded);
    return inline === undefined ? expanded : inline;
  }
  if (Array.isArray(value)) return value.map((item) => expandedTree(item, expand));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [expand(key), expandedTree(item, expand)]));
  }
  return value;
}

const inlineLengthMax = 1 << 20;

function inlineValue(text: string): unknown {
  if (text.length > inlineLengthMax) return undefined;
  let value: unknown;
  try {
    value = parse(text, { version: '1.1', maxAliasCount: 0, uniqueKeys: true });
  } catch {
    return undefined;
  }
  if (typeof value !== 'string') return value;
  try {
    return typeof JSON.parse(text) === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
