import { ConfigError } from '../fields/config-error.ts';
import { noFile, secret, text, textMap, url } from '../fields/field.ts';
import { receiverKind } from './kind.ts';
import { cutRunes, expander, post } from './notification.ts';
import { withSlash } from './opsgenie.ts';

const messageRunesMax = 20_480;
const FIXED = [
  'routing_key',
  'message_type',
  'state_message',
  'entity_display_name',
  'monitoring_tool',
  'entity_id',
  'entity_state',
];

/** Incidents of VictorOps, which is Splunk On-Call. */
export const victorops = receiverKind({
  kind: 'victorops',
  type: 'victorops',
  sendsResolved: true,
  whenMissing: 'victorops',
  fields: {
    api_key: secret,
    api_key_file: noFile('api_key_file'),
    api_url: url,
    routing_key: text(),
    message_type: text('CRITICAL'),
    state_message: text('{{ template "victorops.default.state_message" . }}'),
    entity_display_name: text('{{ template "victorops.default.entity_display_name" . }}'),
    monitoring_tool: text('{{ template "victorops.default.monitoring_tool" . }}'),
    custom_fields: textMap,
  },
  check(values) {
    if (values.routing_key === '') throw new ConfigError('missing Routing key in VictorOps config');
    const fixed = FIXED.find((name) => values.custom_fields.has(name));
    if (fixed === undefined) return;
    throw new ConfigError(
      `victorOps config contains custom field ${fixed} which cannot be used as it conflicts with the fixed/static fields`,
    );
  },
  complete(values, global) {
    const key = values.api_key === '' ? global.victorops_api_key : values.api_key;
    if (key === '') throw new ConfigError('no global VictorOps API Key set');
    return { ...values, key, base: withSlash(values.api_url ?? global.victorops_api_url) };
  },
  notify(config, notification) {
    const expand = expander(notification);
    const given = expand(config.message_type);
    const type = ['INFO', 'WARNING', 'CRITICAL'].includes(given) ? given : 'CRITICAL';
    const fields = new Map([
      ['message_type', notification.data.status === 'resolved' ? 'RECOVERY' : type],
      ['entity_id', notification.groupHash],
      ['entity_display_name', expand(config.entity_display_name)],
      ['state_message', cutRunes(expand(config.state_message), messageRunesMax)],
      ['monitoring_tool', expand(config.monitoring_tool)],
    ]);
    for (const [name, value] of config.custom_fields) fields.set(name, expand(value));
    const to = `${config.base}${config.key}/${expand(config.routing_key)}`;
    return post(notification, { url: to, body: Object.fromEntries(fields), config: config.http });
  },
});
