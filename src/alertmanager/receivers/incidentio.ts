import { ConfigError } from '../fields/config-error.ts';
import { goDuration, integer, noFile, secret, textMap, url } from '../fields/field.ts';
import { exactlyOne, receiverKind } from './kind.ts';
import { type Answer, expander, goJson, post } from './notification.ts';
import { dataJson, truncatedAlerts } from './webhook.ts';

const payloadBytesMax = 512 << 10;

/** Alerts of incident.io. */
export const incidentio = receiverKind({
  kind: 'incidentio',
  type: 'incidentio',
  sendsResolved: true,
  whenMissing: 'incidentio',
  fields: {
    url,
    url_file: noFile('url_file'),
    alert_source_token: secret,
    alert_source_token_file: noFile('alert_source_token_file'),
    max_alerts: integer(),
    timeout: goDuration(),
    metadata: textMap,
  },
  check(values) {
    exactlyOne(values, 'url');
    if (values.max_alerts < 0) throw new ConfigError('max_alerts must not be negative');
  },
  complete(values) {
    const token = values.alert_source_token;
    const hasAuthorization = values.hasHttp && values.http.authorization !== undefined;
    if (hasAuthorization && token !== '') {
      throw new ConfigError(
        'cannot specify alert_source_token or alert_source_token_file when using http_config.authorization',
      );
    }
    if (!hasAuthorization && token === '') {
      throw new ConfigError(
        'at least one of alert_source_token, alert_source_token_file or http_config.authorization must be configured',
      );
    }
    const authorization = token === '' ? values.http.authorization : { type: 'Bearer', credentials: token };
    return { ...values, http: { ...values.http, authorization } };
  },
  notify(config, given) {
    const { shown, truncated } = truncatedAlerts(given, config.max_alerts);
    const expand = expander(shown);
    const metadata = Object.fromEntries([...config.metadata].map(([name, value]) => [name, expand(value)]));
    const message = (alertsMax: number) => {
      const { data } = shown;
      const cut = data.alerts.length > alertsMax ? { ...data, alerts: data.alerts.slice(0, alertsMax) } : data;
      return goJson({
        ...dataJson(cut),
        version: '1',
        groupKey: given.groupKey,
        truncatedAlerts: truncated,
        metadata: config.metadata.size > 0 ? metadata : undefined,
      });
    };
    const whole = message(Number.POSITIVE_INFINITY);
    const body = Buffer.byteLength(whole) < payloadBytesMax ? whole : message(1);
    const { http, timeout: timeoutMs } = config;
    return post(given, { url: config.url!.href, body, config: http, timeoutMs, retryStatuses: [429], details });
  },
});

function details({ body }: Answer): string {
  try {
    const { message, error, errors } = JSON.parse(body) as { message?: unknown; error?: unknown; errors?: unknown };
    const list = Array.isArray(errors) ? errors.join(', ') : '';
    return [message, error, list].filter((part) => typeof part === 'string' && part !== '').join(': ');
  } catch {
    return '';
  }
}
