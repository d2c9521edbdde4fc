import { ConfigError } from '../fields/config-error.ts';
import {
  type Field,
  goDuration,
  listOf,
  noFile,
  readFields,
  secret,
  type Tree,
  text,
  tree,
  url,
  type Values,
} from '../fields/field.ts';
import { receiverKind, type WithHttp } from './kind.ts';
import {
  type Answer,
  cutRunes,
  expander,
  failed,
  goJson,
  type Notification,
  orNothing,
  post,
  type Verdict,
} from './notification.ts';
import { expandedTree } from './webhook.ts';

const eventBytesMax = 512_000;
const summaryRunesMax = 1024;
const v1Url = 'https://events.pagerduty.com/generic/2010-04-15/create_event.json';

const DETAILS: Readonly<Record<string, Tree>> = {
  firing: '{{ .Alerts.Firing | toJson }}',
  resolved: '{{ .Alerts.Resolved | toJson }}',
  num_firing: '{{ .Alerts.Firing | len }}',
  num_resolved: '{{ .Alerts.Resolved | len }}',
};

const details: Field<Readonly<Record<string, Tree>>> = {
  initial: {},
  read(reading, node) {
    const given = tree.read(reading, node) ?? {};
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw new ConfigError('details of PagerDuty config must be a mapping');
    }
    return given as Readonly<Record<string, Tree>>;
  },
};

const IMAGE = { src: text(), alt: text(), href: text() };
const LINK = { href: text(), text: text() };

const FIELDS = {
  service_key: secret,
  service_key_file: noFile('service_key_file'),
  routing_key: secret,
  routing_key_file: noFile('routing_key_file'),
  url,
  client: text('{{ template "pagerduty.default.client" . }}'),
  client_url: text('{{ template "pagerduty.default.clientURL" . }}'),
  description: text('{{ template "pagerduty.default.description" .}}'),
  details,
  images: listOf(
    (reading, node) => readFields(reading, node, 'pagerduty.PagerdutyImage', IMAGE),
    'pagerduty.PagerdutyImage',
  ),
  links: listOf(
    (reading, node) => readFields(reading, node, 'pagerduty.PagerdutyLink', LINK),
    'pagerduty.PagerdutyLink',
  ),
  source: text(),
  severity: text(),
  class: text(),
  component: text(),
  group: text(),
  timeout: goDuration(),
};

type Config = Values<typeof FIELDS> & WithHttp & { readonly target: URL };

/** Events of version 2, or of version 1 where there is a service key. */
export const pagerduty = receiverKind({
  kind: 'pagerduty',
  type: 'pagerduty',
  sendsResolved: true,
  whenMissing: 'pagerduty',
  fields: FIELDS,
  check({ service_key: service, routing_key: routing }) {
    if (service === '' && routing === '') throw new ConfigError('missing service or routing key in PagerDuty config');
  },
  complete: (values, global): Config => ({
    ...values,
    source: values.source === '' ? values.client : values.source,
    details: { ...DETAILS, ...values.details },
    target: values.url ?? global.pagerduty_url,
  }),
  notify: (config, notification) => (config.service_key === '' ? notifyV2 : notifyV1)(config, notification),
});

function rendered(config: Config, expand: (template: string) => string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config.details).map(([name, value]) => [name, expandedTree(value, expand)]));
}

function errorDetails({ status, body }: Answer): string {
  if (status !== 400) return '';
  try {
    const { message, errors } = JSON.parse(body) as { message?: unknown; errors?: unknown };
    return `${String(message ?? '')}: ${Array.isArray(errors) ? errors.join(',') : ''}`;
  } catch {
    return '';
  }
}

const CUT = {
  error: 'Custom details have been removed because the original event exceeds the maximum size of 512KB',
};

async function notifyV1(config: Config, notification: Notification): Promise<Verdict> {
  const expand = expander(notification);
  const isFiring = notification.data.status === 'firing';
  const serviceKey = expand(config.service_key);
  if (serviceKey === '') return failed('service key cannot be empty', { retries: false });
  const event = (custom: object) =>
    goJson({
      service_key: serviceKey,
      incident_key: notification.groupHash,
      event_type: isFiring ? 'trigger' : 'resolve',
      description: orNothing(cutRunes(expand(config.description), summaryRunesMax)),
      event_action: '',
      payload: null,
      client: isFiring ? orNothing(expand(config.client)) : undefined,
      client_url: isFiring ? orNothing(expand(config.client_url)) : undefined,
      details: custom,
    });
  return postEvent(config, notification, v1Url, event, 403, expand);
}

async function notifyV2(config: Config, notification: Notification): Promise<Verdict> {
  const expand = expander(notification);
  const some = (value: string) => orNothing(expand(value));
  const routingKey = expand(config.routing_key);
  if (routingKey === '') return failed('routing key cannot be empty', { retries: false });
  const images = config.images
    .map(({ src, alt, href }) => ({ src: expand(src), alt: expand(alt), href: expand(href) }))
    .filter(({ src }) => src !== '');
  const links = config.links
    .map(({ href, text: shown }) => ({ href: expand(href), text: expand(shown) }))
    .filter(({ href }) => href !== '');
  const event = (custom: object) =>
    goJson({
      routing_key: routingKey,
      dedup_key: notification.groupHash,
      event_action: notification.data.status === 'firing' ? 'trigger' : 'resolve',
      payload: {
        summary: cutRunes(expand(config.description), summaryRunesMax),
        source: expand(config.source),
        severity: expand(config.severity === '' ? 'error' : config.severity),
        class: some(config.class),
        component: some(config.component),
        group: some(config.group),
        custom_details: custom,
      },
      client: some(config.client),
      client_url: some(config.client_url),
      images: images.length > 0 ? images : undefined,
      links: links.length > 0 ? links : undefined,
    });
  return postEvent(config, notification, config.target.href, event, 429, expand);
}

function postEvent(
  config: Config,
  notification: Notification,
  to: string,
  event: (details: object) => string,
  retryStatus: number,
  expand: (template: string) => string,
): Promise<Verdict> {
  const whole = event(rendered(config, expand));
  const body = Buffer.byteLength(whole) >= eventBytesMax ? event(CUT) : whole;
  const { http, timeout: timeoutMs } = config;
  return post(notification, {
    url: to,
    body,
    config: http,
    timeoutMs,
    retryStatuses: [retryStatus],
    details: errorDetails,
  });
}
