import { noFile, secretUrl, text } from '../fields/field.ts';
import { exactlyOne, receiverKind } from './kind.ts';
import { cutRunes, expander, orNothing, post } from './notification.ts';

const titleRunesMax = 256;
const descriptionRunesMax = 4096;
const contentRunesMax = 2000;
const colors = { firing: 0x992d22, resolved: 0x2ecc71 };

/** Messages with an embed, by a webhook of a channel. */
export const discord = receiverKind({
  kind: 'discord',
  type: 'discord',
  sendsResolved: true,
  whenMissing: 'discord',
  fields: {
    webhook_url: secretUrl,
    webhook_url_file: noFile('webhook_url_file'),
    content: text(),
    title: text('{{ template "discord.default.title" . }}'),
    message: text('{{ template "discord.default.message" . }}'),
    username: text(),
    avatar_url: text(),
  },
  check: (values) => exactlyOne(values, 'webhook_url'),
  complete: (values) => values,
  notify(config, notification) {
    const expand = expander(notification);
    const embed = {
      title: cutRunes(expand(config.title), titleRunesMax),
      description: cutRunes(expand(config.message), descriptionRunesMax),
      color: colors[notification.data.status],
    };
    const body = {
      content: cutRunes(expand(config.content), contentRunesMax),
      embeds: [embed],
      username: orNothing(config.username),
      avatar_url: orNothing(config.avatar_url),
    };
    return post(notification, { url: config.webhook_url!.href, body, config: config.http, retryStatuses: [429] });
  },
});
