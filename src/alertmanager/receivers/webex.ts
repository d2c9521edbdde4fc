import { ConfigError } from '../fields/config-error.ts';
import { text, url } from '../fields/field.ts';
import { receiverKind } from './kind.ts';
import { cutBytes, expander, orNothing, post } from './notification.ts';

const messageBytesMax = 7439;

/** Messages in a room of Webex. The token is the authorization of `http_config`. */
export const webex = receiverKind({
  kind: 'webex',
  type: 'webex',
  sendsResolved: true,
  whenMissing: 'webex',
  fields: { api_url: url, message: text('{{ template "webex.default.message" . }}'), room_id: text() },
  check({ room_id: room }) {
    if (room === '') throw new ConfigError('missing room_id on webex_config');
  },
  complete(values, global) {
    if (!values.hasHttp || values.http.authorization === undefined) {
      throw new ConfigError('missing webex_configs.http_config.authorization');
    }
    return { ...values, target: (values.api_url ?? global.webex_api_url).href };
  },
  notify(config, notification) {
    const expand = expander(notification);
    const body = {
      markdown: cutBytes(expand(config.message), messageBytesMax),
      roomId: orNothing(expand(config.room_id)),
    };
    return post(notification, { url: config.target, body, config: config.http, retryStatuses: [429] });
  },
});
