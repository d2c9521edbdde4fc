import { ConfigError } from '../fields/config-error.ts';
import {
  flag,
  listOf,
  noFile,
  optional,
  optionalFlag,
  readFields,
  secretUrl,
  text,
  type Values,
} from '../fields/field.ts';
import { receiverKind } from './kind.ts';
import { cutRunes, expander, orNothing, post } from './notification.ts';

const textRunesMax = 16_383;

const FIELD = { title: text(), value: text(), short: optionalFlag };
const fields = listOf(
  (reading, node) =>
    readFields(reading, node, 'mattermost.plain', FIELD, (field) => {
      for (const name of ['title', 'value'] as const) {
        if (field[name] === '') throw new ConfigError(`missing ${name} in Mattermost field configuration`);
      }
    }),
  'mattermost.MattermostField',
);

function attachmentOf(template: (name: string) => string) {
  return {
    fallback: text(template('fallback')),
    color: text(template('color')),
    pretext: text(),
    text: text(template('text')),
    author_name: text(),
    author_link: text(),
    author_icon: text(),
    title: text(template('title')),
    title_link: text(template('titlelink')),
    fields,
    thumb_url: text(),
    footer: text(),
    footer_icon: text(),
    image_url: text(),
  };
}

const ATTACHMENT = attachmentOf(() => '');
type Attachment = Values<typeof ATTACHMENT>;

const PRIORITY = { priority: text(), requested_ack: flag(), persistent_notifications: flag() };
const PROPS = { card: text() };

/** Messages of Mattermost, by an incoming webhook. */
export const mattermost = receiverKind({
  kind: 'mattermost',
  type: 'mattermost',
  sendsResolved: true,
  whenMissing: 'mattermost',
  fields: {
    ...attachmentOf((name) => `{{ template "mattermost.default.${name}" . }}`),
    webhook_url: secretUrl,
    webhook_url_file: noFile('webhook_url_file'),
    channel: text(),
    username: text('{{ template "mattermost.default.username" . }}'),
    icon_url: text(),
    icon_emoji: text(),
    attachments: listOf(
      (reading, node) => readFields(reading, node, 'mattermost.MattermostAttachment', ATTACHMENT),
      'mattermost.MattermostAttachment',
    ),
    type: text(),
    props: optional((reading, node) => readFields(reading, node, 'mattermost.MattermostProps', PROPS)),
    priority: optional((reading, node) => readFields(reading, node, 'mattermost.MattermostPriority', PRIORITY)),
  },
  complete(values, global) {
    const target = values.webhook_url ?? global.mattermost_webhook_url;
    if (target === undefined) throw new ConfigError('missing webhook_url or webhook_url_file on mattermost_config');
    return { ...values, target };
  },
  notify(config, notification) {
    const expand = expander(notification);
    const some = (value: string) => orNothing(expand(value));
    const hasOwn = config.attachments.length > 0;
    const shown = hasOwn ? config.attachments : [config];
    const card = some(config.props?.card ?? '');
    const body = {
      text: hasOwn ? orNothing(cutRunes(expand(config.text), textRunesMax)) : undefined,
      channel: some(config.channel),
      username: some(config.username),
      icon_url: some(config.icon_url),
      icon_emoji: some(config.icon_emoji),
      attachments: shown.map((attachment) => expanded(attachment, some)),
      type: some(config.type),
      props: card === undefined ? undefined : { card },
      priority: priorityOf(config.priority, some),
    };
    return post(notification, { url: config.target.href, body, config: config.http });
  },
});

type Some = (value: string) => string | undefined;

function expanded(attachment: Attachment, some: Some): object {
  const texts = Object.keys(ATTACHMENT)
    .filter((name) => name !== 'fields')
    .map((name) => [name, some(attachment[name as Exclude<keyof Attachment, 'fields'>])]);
  const own = attachment.fields.map(({ title, value, short }) => ({ title: some(title), value: some(value), short }));
  return { ...Object.fromEntries(texts), fields: own.length > 0 ? own : undefined };
}

/** Acknowledgements are for what is more than standard, persistence for what is urgent. */
function priorityOf(given: Values<typeof PRIORITY> | undefined, some: Some): object | undefined {
  if (given === undefined || given.priority === '') return undefined;
  const named = (some(given.priority) ?? '').toLowerCase();
  const priority = ['urgent', 'important', 'standard'].includes(named) ? named : 'standard';
  return {
    priority,
    requested_ack: (given.requested_ack && priority !== 'standard') || undefined,
    persistent_notifications: (given.persistent_notifications && priority === 'urgent') || undefined,
  };
}
