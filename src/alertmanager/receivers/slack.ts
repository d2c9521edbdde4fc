import { quoteGoCut } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import {
  flag,
  goDuration,
  listOf,
  noFile,
  optional,
  optionalFlag,
  readFields,
  secret,
  secretUrl,
  text,
  texts,
  url,
  type Values,
} from '../fields/field.ts';
import { type GlobalConfig, slackPostUrl } from './global.ts';
import { receiverKind, type WithHttp } from './kind.ts';
import {
  type Answer,
  cutRunes,
  expander,
  failed,
  type Notification,
  orNothing,
  request,
  sent,
  type Verdict,
  verdictOf,
} from './notification.ts';

const titleRunesMax = 1024;
const updateUrl = 'https://slack.com/api/chat.update';

const CONFIRM = { text: text(), title: text(), ok_text: text(), dismiss_text: text() };
const ACTION = {
  type: text(),
  text: text(),
  url: text(),
  style: text(),
  name: text(),
  value: text(),
  confirm: optional((reading, node) =>
    readFields(reading, node, 'slack.plain', CONFIRM, (confirm) => {
      if (confirm.text === '') throw new ConfigError('missing text in Slack confirmation configuration');
    }),
  ),
};
const FIELD = { title: text(), value: text(), short: optionalFlag };

const actions = listOf(
  (reading, node) =>
    readFields(reading, node, 'slack.plain', ACTION, (action) => {
      if (action.url === '' && action.name === '') {
        throw new ConfigError('missing name or url in Slack action configuration');
      }
      for (const name of ['type', 'text'] as const) {
        if (action[name] === '') throw new ConfigError(`missing ${name} in Slack action configuration`);
      }
    }),
  'slack.SlackAction',
);

const fields = listOf(
  (reading, node) =>
    readFields(reading, node, 'slack.plain', FIELD, (field) => {
      for (const name of ['title', 'value'] as const) {
        if (field[name] === '') throw new ConfigError(`missing ${name} in Slack field configuration`);
      }
    }),
  'slack.SlackField',
);

function template(name: string) {
  return text(`{{ template "slack.default.${name}" . }}`);
}

const FIELDS = {
  api_url: secretUrl,
  api_url_file: noFile('api_url_file'),
  app_token: secret,
  app_token_file: noFile('app_token_file'),
  app_url: url,
  channel: text(),
  username: template('username'),
  color: template('color'),
  title: template('title'),
  title_link: template('titlelink'),
  pretext: template('pretext'),
  text: template('text'),
  message_text: text(),
  fields,
  short_fields: flag(),
  footer: template('footer'),
  fallback: template('fallback'),
  callback_id: template('callbackid'),
  icon_emoji: template('iconemoji'),
  icon_url: template('iconurl'),
  image_url: text(),
  thumb_url: text(),
  link_names: flag(),
  mrkdwn_in: texts,
  actions,
  update_message: flag(),
  post_updates_to_thread: flag(),
  timeout: goDuration(),
};

type Given = Values<typeof FIELDS> & WithHttp;
type Config = Given & { readonly target: URL };

/** Messages with an attachment, by a webhook of a channel or as an app. */
export const slack = receiverKind({
  kind: 'slack',
  type: 'slack',
  sendsResolved: false,
  fields: FIELDS,
  check(values) {
    if (values.api_url !== undefined && values.app_token !== '') {
      throw new ConfigError('at most one of api_url/api_url_file & app_token/app_token_file must be configured');
    }
    checkBotUrl(values, values.api_url);
  },
  complete(values, global): Config {
    const { target, http } = targetOf(values, global);
    checkBotUrl(values, target);
    return { ...values, target, http };
  },
  notify: notifySlack,
});

function checkBotUrl(values: Values<typeof FIELDS>, given: URL | undefined): void {
  if (given === undefined || given.href === slackPostUrl) return;
  for (const name of ['update_message', 'post_updates_to_thread'] as const) {
    if (!values[name]) continue;
    throw new ConfigError(`${name} can only be used with bot tokens. api_url must be set to ${slackPostUrl}`);
  }
}

function targetOf(values: Given, global: GlobalConfig): Pick<Config, 'target' | 'http'> {
  const hasAuthorization = values.hasHttp && values.http.authorization !== undefined;
  const isOwn = values.app_token !== '' || values.api_url !== undefined || hasAuthorization;
  const token = isOwn ? values.app_token : global.slack_app_token;
  const apiUrl = values.api_url ?? global.slack_api_url;
  if (apiUrl === undefined && token === '') {
    throw new ConfigError('no Slack API URL nor App token set either inline or in a file');
  }
  if (token === '') return { target: apiUrl!, http: values.http };
  if (values.http.authorization !== undefined) {
    throw new ConfigError("http authorization can't be set when using Slack App tokens");
  }
  const authorization = { type: 'Bearer', credentials: token };
  return { target: values.app_url ?? global.slack_app_url, http: { ...values.http, authorization } };
}

async function notifySlack(config: Config, notification: Notification): Promise<Verdict> {
  const { memory } = notification;
  const message = messageOf(config, notification);
  const remembers = config.update_message || config.post_updates_to_thread;
  const [thread, channel] = [memory.get('threadTs') ?? '', memory.get('channelId') ?? ''];
  if (!remembers || thread === '' || channel === '') {
    const own = orNothing(expander(notification)(config.channel));
    return postSlack(config, notification, config.target.href, { ...message, channel: own }, remembers);
  }
  // the first message stays the one that is known
  if (config.update_message) {
    const verdict = await postSlack(config, notification, updateUrl, { ...message, channel, ts: thread }, false);
    if (verdict.kind !== 'sent') return verdict;
  }
  if (!config.post_updates_to_thread) return sent;
  return postSlack(config, notification, config.target.href, { ...message, channel, thread_ts: thread }, false);
}

function messageOf(config: Config, notification: Notification): object {
  const expand = expander(notification);
  const some = (value: string) => orNothing(expand(value));
  const attachment = {
    title: orNothing(cutRunes(expand(config.title), titleRunesMax)),
    title_link: some(config.title_link),
    pretext: some(config.pretext),
    text: expand(config.text),
    fallback: expand(config.fallback),
    callback_id: expand(config.callback_id),
    fields: listOrNothing(
      config.fields.map((field) => ({
        title: expand(field.title),
        value: expand(field.value),
        short: field.short ?? config.short_fields,
      })),
    ),
    actions: listOrNothing(config.actions.map((action) => actionOf(action, some))),
    image_url: some(config.image_url),
    thumb_url: some(config.thumb_url),
    footer: expand(config.footer),
    color: some(config.color),
    mrkdwn_in: config.mrkdwn_in.length === 0 ? ['fallback', 'pretext', 'text'] : config.mrkdwn_in,
  };
  return {
    username: some(config.username),
    icon_emoji: some(config.icon_emoji),
    icon_url: some(config.icon_url),
    link_names: config.link_names || undefined,
    text: some(config.message_text),
    attachments: [attachment],
  };
}

function actionOf(action: Config['actions'][number], some: (value: string) => string | undefined): object {
  const isLink = action.url !== '';
  const confirm = isLink ? undefined : action.confirm;
  return {
    type: some(action.type),
    text: some(action.text),
    url: some(action.url),
    style: some(action.style),
    name: isLink ? undefined : some(action.name),
    value: isLink ? undefined : some(action.value),
    confirm: confirm && {
      text: some(confirm.text),
      title: some(confirm.title),
      ok_text: some(confirm.ok_text),
      dismiss_text: some(confirm.dismiss_text),
    },
  };
}

function listOrNothing<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

async function postSlack(
  { http: config, timeout: timeoutMs }: Config,
  notification: Notification,
  to: string,
  body: object,
  keeps: boolean,
): Promise<Verdict> {
  const answer = await request(notification, { url: to, body, config, timeoutMs });
  const verdict = verdictOf(answer, notification.nowMs, [429]);
  return verdict.kind === 'sent' ? slackVerdict(answer, keeps ? notification.memory : undefined) : verdict;
}

/** Slack says in the body what went wrong. */
function slackVerdict({ headers, body }: Answer, memory: Map<string, string> | undefined): Verdict {
  if (!(headers.get('content-type') ?? '').startsWith('application/json')) {
    if (body === 'ok') return sent;
    return failed(`received an error response from Slack: ${body}`, { retries: false, reason: 'clientError' });
  }
  let answer: { ok?: unknown; error?: unknown; channel?: unknown; ts?: unknown };
  try {
    answer = JSON.parse(body);
  } catch {
    return failed(`could not unmarshal JSON response ${quoteGoCut(body)}`, { retries: true });
  }
  if (answer.ok !== true) {
    return failed(`error response from Slack: ${String(answer.error ?? '')}`, {
      retries: false,
      reason: 'clientError',
    });
  }
  if (memory !== undefined && typeof answer.ts === 'string' && typeof answer.channel === 'string') {
    memory.set('threadTs', answer.ts);
    memory.set('channelId', answer.channel);
  }
  return sent;
}
