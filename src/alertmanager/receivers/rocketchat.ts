import { quoteGoCut } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import { flag, listOf, noFile, optionalFlag, readFields, secret, text, url } from '../fields/field.ts';
import { receiverKind } from './kind.ts';
import { cutRunes, expander, failed, orNothing, request, sent, type Verdict, verdictOf } from './notification.ts';
import { withSlash } from './opsgenie.ts';

const titleRunesMax = 1024;

const FIELD = { short: optionalFlag, title: text(), value: text() };
const ACTION = {
  type: text(),
  text: text(),
  url: text(),
  imageurl: text(),
  iswebview: flag(),
  webviewheightratio: text(),
  msg: text(),
  msginchatwindow: flag(),
  msgprocessingtype: text(),
};

/** Messages of Rocket.Chat. */
export const rocketchat = receiverKind({
  kind: 'rocketchat',
  type: 'rocketchat',
  sendsResolved: false,
  fields: {
    api_url: url,
    token_id: secret,
    token_id_file: noFile('token_id_file'),
    token: secret,
    token_file: noFile('token_file'),
    channel: text(),
    color: text('{{ if eq .Status "firing" }}red{{ else }}green{{ end }}'),
    title: text('{{ template "rocketchat.default.title" . }}'),
    title_link: text('{{ template "rocketchat.default.titlelink" . }}'),
    text: text('{{ template "rocketchat.default.text" . }}'),
    message_text: text(),
    fields: listOf(
      (reading, node) => readFields(reading, node, 'rocketchat.RocketchatAttachmentField', FIELD),
      'rocketchat.RocketchatAttachmentField',
    ),
    short_fields: flag(),
    emoji: text('{{ template "rocketchat.default.emoji" . }}'),
    icon_url: text('{{ template "rocketchat.default.iconurl" . }}'),
    image_url: text(),
    thumb_url: text(),
    link_names: flag(),
    actions: listOf(
      (reading, node) => readFields(reading, node, 'rocketchat.RocketchatAttachmentAction', ACTION),
      'rocketchat.RocketchatAttachmentAction',
    ),
  },
  complete(values, global) {
    const [token, tokenId] = [values.token || global.rocketchat_token, values.token_id || global.rocketchat_token_id];
    if (tokenId === '') throw new ConfigError('no global Rocketchat TokenID set either inline or in a file');
    if (token === '') throw new ConfigError('no global Rocketchat Token set either inline or in a file');
    return { ...values, token, tokenId, base: withSlash(values.api_url ?? global.rocketchat_api_url) };
  },
  async notify(config, notification): Promise<Verdict> {
    const expand = expander(notification);
    const some = (value: string) => orNothing(expand(value));
    const fields = config.fields.map((field) => ({
      short: field.short ?? config.short_fields,
      title: some(field.title),
      value: some(field.value),
    }));
    const actions = config.actions.map((action) => ({
      type: 'button',
      text: some(action.text),
      url: some(action.url),
      is_webview: false,
      msg: some(action.msg),
      msg_in_chat_window: false,
    }));
    const attachment = {
      title: orNothing(cutRunes(expand(config.title), titleRunesMax)),
      title_link: some(config.title_link),
      text: some(config.text),
      image_url: some(config.image_url),
      thumb_url: some(config.thumb_url),
      color: some(config.color),
      fields: fields.length > 0 ? fields : undefined,
      actions: actions.length > 0 ? actions : undefined,
    };
    const channel = expand(config.channel);
    const body = {
      channel: orNothing(channel),
      text: some(config.message_text),
      emoji: some(config.emoji),
      avatar: some(config.icon_url),
      attachments: [attachment],
    };
    const answer = await request(notification, {
      url: `${config.base}api/v1/chat.postMessage`,
      body,
      config: config.http,
      headers: { 'x-auth-token': config.token, 'x-user-id': config.tokenId },
    });
    const verdict = verdictOf(answer, notification.nowMs);
    return verdict.kind === 'sent' ? checked(channel, answer.body) : verdict;
  },
});

function checked(channel: string, body: string): Verdict {
  const failure = (text: string, retries: boolean) =>
    failed(`channel ${quoteGoCut(channel)}: ${text}`, { retries, reason: 'clientError' });
  try {
    const answer = JSON.parse(body) as { success?: unknown; error?: unknown };
    if (answer.success === true) return sent;
    return failure(`error response from Rocketchat: ${String(answer.error ?? '')}`, false);
  } catch {
    return failure(`could not unmarshal JSON response ${quoteGoCut(body)}`, true);
  }
}
