import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import { noFile, secret, text, url } from '../fields/field.ts';
import { receiverKind } from './kind.ts';
import { expander, failed, orNothing, reasonOf, request, sent, type Verdict } from './notification.ts';
import { withSlash } from './opsgenie.ts';

/** A token is good for two hours. */
const tokenAgeMsMax = 2 * 3_600_000;
const expiredToken = 42_001;

/** Messages of WeChat Work. */
export const wechat = receiverKind({
  kind: 'wechat',
  type: 'wechat',
  sendsResolved: false,
  fields: {
    api_secret: secret,
    api_secret_file: noFile('api_secret_file'),
    corp_id: text(),
    message: text('{{ template "wechat.default.message" . }}'),
    api_url: url,
    to_user: text('{{ template "wechat.default.to_user" . }}'),
    to_party: text('{{ template "wechat.default.to_party" . }}'),
    to_tag: text('{{ template "wechat.default.to_tag" . }}'),
    agent_id: text('{{ template "wechat.default.agent_id" . }}'),
    message_type: text('text'),
  },
  check({ message_type: type }) {
    if (['', 'text', 'markdown'].includes(type)) return;
    throw new ConfigError(`weChat message type ${quoteGo(type)} does not match valid options ^(text|markdown)$`);
  },
  complete(values, global) {
    const apiSecret = values.api_secret === '' ? global.wechat_api_secret : values.api_secret;
    if (apiSecret === '') throw new ConfigError('no global Wechat Api Secret set either inline or in a file');
    const corpId = values.corp_id === '' ? global.wechat_api_corp_id : values.corp_id;
    if (corpId === '') throw new ConfigError('no global Wechat CorpID set');
    const token = { value: '', atMs: 0 };
    return { ...values, apiSecret, corpId, token, base: withSlash(values.api_url ?? global.wechat_api_url) };
  },
  async notify(config, notification): Promise<Verdict> {
    const expand = expander(notification);
    const { token } = config;
    if (token.value === '' || notification.nowMs - token.atMs > tokenAgeMsMax) {
      const query = new URLSearchParams({ corpid: expand(config.corpId), corpsecret: expand(config.apiSecret) });
      const answer = await notification.http.send(
        { method: 'GET', url: `${config.base}gettoken?${query}`, config: config.http },
        notification.signal,
      );
      const { access_token: value } = jsonOf(answer.body);
      if (typeof value !== 'string' || value === '') {
        return failed(`invalid APISecret for CorpID: ${config.corpId}`, { retries: false, reason: 'authError' });
      }
      token.value = value;
      token.atMs = notification.nowMs;
    }
    const type = config.message_type || 'text';
    const content = (of: string) => ({ content: of === type ? expand(config.message) : '' });
    const body = {
      text: content('text'),
      touser: orNothing(expand(config.to_user)),
      toparty: orNothing(expand(config.to_party)),
      totag: orNothing(expand(config.to_tag)),
      agentid: orNothing(expand(config.agent_id)),
      safe: '0',
      msgtype: type,
      markdown: content('markdown'),
    };
    const to = `${config.base}message/send?${new URLSearchParams({ access_token: token.value })}`;
    const answer = await request(notification, { url: to, body, config: config.http });
    if (answer.status !== 200) {
      return failed(`unexpected status code ${answer.status}`, { retries: true, reason: reasonOf(answer.status) });
    }
    const { errcode, errmsg } = jsonOf(answer.body);
    if (errcode === 0) return sent;
    if (errcode === expiredToken) token.value = '';
    return failed(String(errmsg ?? 'the answer cannot be read'), {
      retries: errcode === undefined || errcode === expiredToken,
    });
  },
});

function jsonOf(body: string): {
  readonly access_token?: unknown;
  readonly errcode?: unknown;
  readonly errmsg?: unknown;
} {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
