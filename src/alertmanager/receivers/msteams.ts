import { noFile, secretUrl, text } from '../fields/field.ts';
import { exactlyOne, receiverKind } from './kind.ts';
import { expander, post } from './notification.ts';

/** Cards by a workflow of Teams. */
export const msteamsv2 = receiverKind({
  kind: 'msteamsv2',
  type: 'msteamsv2',
  sendsResolved: true,
  whenMissing: 'msteamsv2',
  fields: {
    webhook_url: secretUrl,
    webhook_url_file: noFile('webhook_url_file'),
    title: text('{{ template "msteamsv2.default.title" . }}'),
    text: text('{{ template "msteamsv2.default.text" . }}'),
  },
  check: (values) => exactlyOne(values, 'webhook_url'),
  complete: (values) => values,
  notify(config, notification) {
    const expand = expander(notification);
    const color = notification.data.status === 'firing' ? 'Attention' : 'Good';
    const content = {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      type: 'AdaptiveCard',
      version: '1.2',
      body: [
        {
          type: 'TextBlock',
          text: expand(config.title),
          weight: 'Bolder',
          size: 'Medium',
          wrap: true,
          style: 'heading',
          color,
        },
        { type: 'TextBlock', text: expand(config.text), wrap: true },
      ],
      msteams: { width: 'full' },
    };
    const card = { contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content };
    const body = { type: 'message', attachments: [card] };
    return post(notification, { url: config.webhook_url!.href, body, config: config.http });
  },
});

/** Cards by a connector of Office 365. */
export const msteams = receiverKind({
  kind: 'msteams',
  type: 'msteams',
  sendsResolved: true,
  whenMissing: 'msteams',
  fields: {
    webhook_url: secretUrl,
    webhook_url_file: noFile('webhook_url_file'),
    title: text('{{ template "msteams.default.title" . }}'),
    summary: text('{{ template "msteams.default.summary" . }}'),
    text: text('{{ template "msteams.default.text" . }}'),
  },
  check: (values) => exactlyOne(values, 'webhook_url'),
  complete: (values) => values,
  notify(config, notification) {
    const expand = expander(notification);
    const body = {
      '@context': 'http://schema.org/extensions',
      type: 'MessageCard',
      title: expand(config.title),
      summary: expand(config.summary),
      text: expand(config.text),
      themeColor: notification.data.status === 'firing' ? '8C1A1A' : '2DC72D',
    };
    return post(notification, { url: config.webhook_url!.href, body, config: config.http });
  },
});
